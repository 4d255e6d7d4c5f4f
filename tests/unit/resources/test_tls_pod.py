"""Pods, Services and policies with TLS: the proxy is the only way to Triton, and old revisions keep what they have."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import AIR_GAPPED, AIR_GAPPED_SETTINGS, SETTINGS, WITHOUT_TLS, a_deployment
from tests.paths import ROOT
from triton_operator.api.privacy import Audit, Profile, TLSMode
from triton_operator.resources.build import build_children, render, render_new_revision
from triton_operator.resources.revision import Revision, decode_revision, inputs_hash, summarize_revision
from triton_operator.resources.tls import DEFAULT_MODES, needs_proxy, terminates_tls, tls_mode

RELEASES = sorted((ROOT / "tests" / "apiserver" / "releases").glob("*.json"))
TLS: dict[str, dict[str, Any]] = {
    "Managed": {"mode": "Managed"},
    "Secret": {"mode": "Secret", "secretRef": {"name": "digits-certificate"}},
    "CertManager": {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company"}}},
}
PLAIN: dict[str, dict[str, Any]] = {"Disabled": {"mode": "Disabled"}, "External": {"mode": "External"}}
each_tls = pytest.mark.parametrize("tls", TLS.values(), ids=TLS)
each_plain = pytest.mark.parametrize("tls", PLAIN.values(), ids=PLAIN)

Manifest = dict[str, Any]


def children_of(tls: Manifest, **spec: Any) -> dict[tuple[str, str], Manifest]:
    children = render(a_deployment(privacy={"tls": tls}, **spec), SETTINGS)
    return {(child["kind"], child["metadata"]["name"]): child for child in children}


def pod_of(tls: Manifest, **spec: Any) -> Manifest:
    pod: Manifest = children_of(tls, **spec)["Deployment", "digits"]["spec"]["template"]["spec"]
    return pod


def proxy_of(pod: Manifest) -> Manifest:
    proxy: Manifest = pod["initContainers"][-1]
    return proxy


def ports_of(manifest: Manifest) -> dict[str, int]:
    return {port["name"]: port["port"] for port in manifest["spec"]["ports"]}


@each_tls
def test_every_child_is_valid_for_kubernetes(tls: Manifest) -> None:
    for child in children_of(tls).values():
        if child["kind"] == "Certificate":
            continue  # The tier apiserver validates it with the definition of cert-manager.
        kubernetes_validate.validate(child, "1.35", strict=True)


@each_tls
def test_the_proxy_starts_after_prepare_and_before_triton(tls: Manifest) -> None:
    """A native sidecar: an init container that keeps running."""
    pod = pod_of(tls)
    assert [container["name"] for container in pod["initContainers"]] == ["prepare", "proxy"]
    proxy = proxy_of(pod)
    assert proxy["restartPolicy"] == "Always"
    assert proxy["image"] == SETTINGS.operator_image
    assert proxy["command"] == ["python3", "-m", "triton_operator.proxy"]


@each_tls
def test_triton_listens_on_loopback_except_for_metrics(tls: Manifest) -> None:
    (triton,) = pod_of(tls)["containers"]
    assert {"--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=0.0.0.0"} <= set(triton["args"])
    assert not any(argument.startswith("--grpc-max-connection-age") for argument in triton["args"])
    assert [port["name"] for port in triton["ports"]] == ["metrics"]


@each_tls
def test_the_kubelet_checks_triton_through_the_proxy(tls: Manifest) -> None:
    """By number, because a name would be that of a port of Triton's own container."""
    (triton,) = pod_of(tls)["containers"]
    probes = [triton[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["port"] for probe in probes} == {8003}
    assert proxy_of(pod_of(tls))["livenessProbe"]["tcpSocket"] == {"port": 8003}


@each_tls
def test_the_proxy_is_confined_and_is_another_user_than_triton(tls: Manifest) -> None:
    pod = pod_of(tls)
    security = proxy_of(pod)["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (65532, 65532)
    assert pod["securityContext"]["runAsUser"] == 1000
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert not security["privileged"]


@each_tls
def test_only_the_proxy_mounts_the_certificate_and_the_policy(tls: Manifest) -> None:
    pod = pod_of(tls)
    of_the_proxy = {"proxy-policy", "serving-certificate", "proxy-work"}
    mounts = {mount["name"]: mount for mount in proxy_of(pod)["volumeMounts"]}
    assert set(mounts) == of_the_proxy
    assert [name for name, mount in mounts.items() if not mount.get("readOnly")] == ["proxy-work"]
    others = [pod["initContainers"][0], *pod["containers"]]
    assert not of_the_proxy & {mount["name"] for container in others for mount in container["volumeMounts"]}


@pytest.mark.parametrize(
    ("mode", "secret"),
    [
        (
            "Managed",
            {
                "secretName": "triton-operator-serving",
                "items": [{"key": "digits.crt", "path": "tls.crt"}, {"key": "digits.key", "path": "tls.key"}],
            },
        ),
        ("Secret", {"secretName": "digits-certificate", "optional": True}),
        ("CertManager", {"secretName": "digits-tls", "optional": True}),
    ],
)
def test_the_pod_mounts_its_own_certificate_only(mode: str, secret: Manifest) -> None:
    """The Secret of the Managed certificates also contains the keys of other deployments."""
    volumes = {volume["name"]: volume for volume in pod_of(TLS[mode])["volumes"]}
    assert volumes["serving-certificate"]["secret"] == secret
    assert volumes["proxy-policy"]["configMap"] == {"name": "digits-proxy"}
    assert volumes["proxy-work"]["emptyDir"]["medium"] == "Memory"


def test_the_proxy_leaves_before_triton_ends() -> None:
    """The kubelet runs both hooks at the start of the termination, but ends the sidecar only after Triton."""
    pod = pod_of(TLS["Managed"])
    hook = proxy_of(pod)["lifecycle"]["preStop"]["exec"]["command"]
    assert hook == ["python3", "-c", "import os, signal, time; time.sleep(10); os.kill(1, signal.SIGTERM)"]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}
    assert pod["terminationGracePeriodSeconds"] == 50


@each_tls
def test_services_have_one_port_for_both_protocols(tls: Manifest) -> None:
    children = children_of(tls)
    assert ports_of(children["Service", "digits"]) == {"https": 8443}
    assert ports_of(children["Service", "digits-headless"]) == {"https": 8443, "metrics": 8002}
    container_ports = {port["name"] for port in proxy_of(pod_of(tls))["ports"]}
    assert children["Service", "digits"]["spec"]["ports"][0]["targetPort"] in container_ports


@each_tls
def test_the_network_policy_opens_the_tls_port_only(tls: Manifest) -> None:
    """The kubelet's port for health checks is not opened for anybody else."""
    (rule,) = children_of(tls)["NetworkPolicy", "digits"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8443, "protocol": "TCP"}]


@each_plain
def test_without_the_proxy_nothing_changes(tls: Manifest) -> None:
    """External leaves encryption to a mesh, which intercepts the plain ports."""
    pod = pod_of(tls)
    assert pod == pod_of(PLAIN["Disabled"])
    assert [container["name"] for container in pod["initContainers"]] == ["prepare"]
    children = children_of(tls)
    assert ports_of(children["Service", "digits"]) == {"http": 8000, "grpc": 8001}
    assert ("ConfigMap", "digits-proxy") not in children
    (rule,) = children["NetworkPolicy", "digits"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8000, "protocol": "TCP"}, {"port": 8001, "protocol": "TCP"}]


@each_tls
def test_the_policy_exists_before_the_pods(tls: Manifest) -> None:
    order = list(children_of(tls))
    assert order.index(("ConfigMap", "digits-proxy")) < order.index(("Deployment", "digits"))


# --- Modes and revisions.


def test_an_unset_mode_is_the_default_of_the_profile() -> None:
    assert tls_mode(a_deployment().spec) is TLSMode.MANAGED
    assert tls_mode(a_deployment(privacy={"profile": "AirGapped"}).spec) is TLSMode.MANAGED
    assert tls_mode(a_deployment(privacy={"profile": "Open"}).spec) is TLSMode.DISABLED
    assert tls_mode(a_deployment(privacy={"tls": {"mode": "External"}}).spec) is TLSMode.EXTERNAL


def test_every_profile_has_a_default_mode() -> None:
    assert set(DEFAULT_MODES) == set(Profile)


@given(mode=st.sampled_from(list(TLSMode)), profile=st.sampled_from(list(Profile)), audit=st.sampled_from(list(Audit)))
def test_the_rendered_children_agree_on_the_mode(mode: TLSMode, profile: Profile, audit: Audit) -> None:
    """Pods, Services, policies and the stored revision: any disagreement would close or open a port."""
    privacy = {"profile": profile, "tls": {"mode": mode, **TLS.get(mode, {})}, "audit": audit}
    deployment = a_deployment(**(AIR_GAPPED | {"privacy": privacy}))
    has_proxy = mode in TLS
    assert terminates_tls(deployment.spec) is has_proxy
    children = {(child["kind"], child["metadata"]["name"]): child for child in render(deployment, AIR_GAPPED_SETTINGS)}
    revision = render_new_revision(deployment, AIR_GAPPED_SETTINGS)
    assert revision.terminates_tls is summarize_revision(revision.encoded).terminates_tls is has_proxy
    assert decode_revision(revision.encoded) == revision
    pod = children["Deployment", "digits"]["spec"]["template"]["spec"]
    assert ("proxy" in [container["name"] for container in pod["initContainers"]]) is has_proxy
    assert ("https" in ports_of(children["Service", "digits"])) is has_proxy
    assert (("ConfigMap", "digits-proxy") in children) is has_proxy


def test_a_plain_revision_is_stored_as_before() -> None:
    """The name of a ControllerRevision is a hash of its content."""
    for privacy in ({"profile": "Open"}, WITHOUT_TLS):
        assert "tlsMode" not in json.loads(render_new_revision(a_deployment(privacy=privacy), SETTINGS).encoded)
    for privacy in ({}, {"tls": TLS["Managed"]}):
        stored = json.loads(render_new_revision(a_deployment(privacy=privacy), SETTINGS).encoded)
        assert stored["tlsMode"] == "Managed"


def stored_revisions() -> dict[str, tuple[Manifest, Manifest]]:
    """The specs and ControllerRevisions that earlier releases left behind."""
    found = {}
    for file in RELEASES:
        for name, left in json.loads(file.read_text()).items():
            for child in left["children"]:
                if child["kind"] == "ControllerRevision":
                    found[f"{file.stem} {name}"] = (left["spec"], child)
    return found


STORED = stored_revisions()


@pytest.mark.parametrize(("spec", "stored"), STORED.values(), ids=STORED)
def test_a_revision_of_an_earlier_release_keeps_its_ports_under_another_default(
    spec: Manifest, stored: Manifest
) -> None:
    """The pods listen on the plain ports until the user changes the spec."""
    deployment = a_deployment(**spec)
    revision = decode_revision(msgspec.json.encode(stored["data"]))
    assert revision.object_name("digits") == stored["metadata"]["name"]
    assert revision.is_rendered_from(deployment.spec)
    assert not revision.terminates_tls
    children = {
        (child["kind"], child["metadata"]["name"]): child
        for child in build_children(deployment, revision, number=1, replicas=1)
    }
    assert ports_of(children["Service", "digits"]) == {"http": 8000, "grpc": 8001}
    policy = children.get(("NetworkPolicy", "digits"))
    if policy:
        assert {port["port"] for port in policy["spec"]["ingress"][0]["ports"]} == {8000, 8001}
    assert ("ConfigMap", "digits-proxy") not in children
    assert terminates_tls(deployment.spec) is (deployment.spec.privacy.profile is Profile.PRIVATE)


@pytest.mark.parametrize("privacy", [{"clients": []}, {"audit": "All"}], ids=["clients", "audit"])
def test_callers_end_the_compatibility_with_a_plain_revision(
    privacy: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the proxy can enforce them, so the pods are rendered again."""
    before = a_deployment()
    with monkeypatch.context() as earlier:
        earlier.setitem(DEFAULT_MODES, Profile.PRIVATE, TLSMode.DISABLED)
        revision: Revision = render_new_revision(before, SETTINGS)
    assert revision.is_rendered_from(before.spec)
    after = a_deployment(privacy=privacy)
    assert needs_proxy(after.spec)
    assert inputs_hash(after.spec) == inputs_hash(before.spec)
    assert not revision.is_rendered_from(after.spec)
    assert render_new_revision(after, SETTINGS).is_rendered_from(after.spec)


@pytest.mark.parametrize(
    "change",
    [
        {"clients": [{"name": "shop", "serviceAccount": {"name": "checkout"}}]},
        {"audit": "Refused"},
        {"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": "other"}}}},
        {"clientCas": {"configMapRef": {"name": "ca", "key": "ca.crt"}}},
    ],
)
def test_callers_audit_and_issuer_change_in_place(change: Manifest) -> None:
    """They are in the ConfigMap and in the Secret, so no pod is rendered again."""
    before = a_deployment(privacy={"tls": TLS["CertManager"]})
    after = a_deployment(privacy={"tls": TLS["CertManager"], **change})
    assert inputs_hash(after.spec) == inputs_hash(before.spec)
    assert render_new_revision(before, SETTINGS).is_rendered_from(after.spec)


@pytest.mark.parametrize(
    "change", [*TLS.values(), PLAIN["External"], {"mode": "Secret", "secretRef": {"name": "other"}}]
)
def test_another_certificate_secret_or_mode_renders_the_pods_again(change: Manifest) -> None:
    before = a_deployment(privacy={"tls": {}})
    after = a_deployment(privacy={"tls": change})
    assert inputs_hash(after.spec) != inputs_hash(before.spec)
