"""The built children are secure, valid for Kubernetes, and the same for the same spec."""

from __future__ import annotations

import copy
import re
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import SETTINGS, WITHOUT_TLS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.resources.build import build_children, render, render_new_revision
from triton_operator.resources.revision import decode_revision, inputs_hash
from triton_operator.resources.server_image import ServerImage, choose_server_image
from triton_operator.resources.settings import Accelerator, CatalogueImage, Settings

EVERYTHING: dict[str, Any] = {
    "models": [{"name": "digits", "path": "vision/digits"}, {"name": "linear"}],
    "autoscaling": {
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [{"type": "CPUUtilization", "averageUtilization": 60}],
    },
    "gpu": {"count": 2},
    "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": 1}},
    "imagePullSecrets": [{"name": "registry"}],
    "service": {"type": "NodePort", "annotations": {"team": "vision"}},
    "scheduling": {"nodeSelector": {"zone": "a"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]},
    "privacy": {
        "profile": "Private",
        "network": {
            "allowFrom": [{"namespaceSelector": {"matchLabels": {"team": "web"}}}],
            "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
        },
    },
}


def _children(**spec: Any) -> dict[tuple[str, str], dict[str, Any]]:
    children = render(a_deployment(**spec), SETTINGS)
    return {(child["kind"], child["metadata"]["name"]): child for child in children}


def _pod(**spec: Any) -> dict[str, Any]:
    pod: dict[str, Any] = _children(**spec)["Deployment", "digits"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("spec", [{}, EVERYTHING, {"modelRepository": {"pvc": {"claimName": "models"}}}])
def test_every_child_is_valid_for_kubernetes(spec: dict[str, Any]) -> None:
    for child in _children(**spec).values():
        manifest = copy.deepcopy(child)
        for volume in manifest["spec"]["template"]["spec"]["volumes"] if child["kind"] == "Deployment" else []:
            assert volume["name"]
        kubernetes_validate.validate(manifest, "1.35", strict=True)


def test_every_container_passes_the_restricted_level() -> None:
    pod = _pod()
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["initContainers"] + pod["containers"]:
        security = container["securityContext"]
        assert not security["allowPrivilegeEscalation"]
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_pod_has_no_token_and_no_host_namespaces() -> None:
    pod = _pod()
    assert pod["automountServiceAccountToken"] is False
    assert not any(pod[field] for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"))


def test_the_pod_contains_no_secret_that_opens_the_admin_apis() -> None:
    """No variable is expanded in an argument, and every variable has its value in the template."""
    pod = _pod()
    triton = pod["containers"][0]
    assert not any("$(" in argument for argument in triton["args"])
    assert not any("valueFrom" in variable for variable in triton["env"])
    assert "key" not in [volume["name"] for volume in pod["volumes"]]


def test_termination_waits_for_endpoints_to_update_and_requests_to_finish() -> None:
    pod = _pod()
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}
    assert pod["terminationGracePeriodSeconds"] == 50


@pytest.mark.parametrize(
    ("startup", "rollout", "budget", "deadline"),
    [
        ({}, {}, 600, 2400),
        ({"startupTimeoutSeconds": 3600}, {}, 3600, 5400),
        ({}, {"progressDeadlineSeconds": 900}, 600, 900),
        ({"startupTimeoutSeconds": 60}, {"progressDeadlineSeconds": 90}, 60, 90),
    ],
)
def test_a_start_has_its_timeout_and_a_rollout_half_an_hour_more(
    startup: dict[str, int], rollout: dict[str, int], budget: int, deadline: int
) -> None:
    deployment = _children(lifecycle=startup, rollout=rollout)["Deployment", "digits"]["spec"]
    probe = deployment["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == budget
    assert deployment["progressDeadlineSeconds"] == deadline


def test_gpus_are_limits_and_requests() -> None:
    deployment = _children(gpu={"count": 2})["Deployment", "digits"]
    resources = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "2"


def test_requests_have_defaults_only_for_unset_resources() -> None:
    resources = _pod(resources={"limits": {"memory": "2Gi"}})["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "250m"}, "limits": {"memory": "2Gi"}}


def test_private_allows_no_egress_and_ingress_from_the_namespace_only() -> None:
    policy = _children()["NetworkPolicy", "digits"]["spec"]
    assert policy["egress"] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["from"] for rule in policy["ingress"]] == [[{"podSelector": {}}]]


ALWAYS_CLOSED = {"shared-memory", "model-repository", "trace", "logging"}


@pytest.mark.parametrize(
    ("spec", "closed"),
    [
        ({}, {"statistics", "model-config"}),
        ({"privacy": {"profile": "Private"}, "triton": {"openEndpoints": ["Statistics"]}}, {"model-config"}),
        ({"triton": {"openEndpoints": ["ModelConfig", "Statistics"]}}, set()),
        ({"privacy": {"profile": "Open"}}, set()),
        ({"privacy": {"profile": "Open"}, "triton": {"openEndpoints": ["ModelConfig"]}}, {"statistics"}),
        ({"privacy": {"profile": "Open"}, "triton": {"openEndpoints": []}}, {"statistics", "model-config"}),
    ],
)
def test_the_profile_closes_what_the_user_does_not_open(spec: dict[str, Any], closed: set[str]) -> None:
    """Private hides request counts; APIs that can change the server or read its memory stay closed."""
    (triton,) = _pod(**spec)["containers"]
    values = [argument.partition("=")[2] for argument in triton["args"] if "-restricted-" in argument]
    assert len(values) == 2
    for value in values:
        assert set(value.partition(":")[0].split(",")) == ALWAYS_CLOSED | closed


def test_no_rule_is_ever_rendered_with_an_empty_peer_list() -> None:
    for spec in ({}, EVERYTHING):
        for rule in _children(**spec)["NetworkPolicy", "digits"]["spec"]["ingress"]:
            assert rule["from"]


def test_metrics_are_open_only_to_the_configured_peers() -> None:
    rules = _children(**EVERYTHING)["NetworkPolicy", "digits"]["spec"]["ingress"]
    assert [rule["from"] for rule in rules if {"port": 8002, "protocol": "TCP"} in rule["ports"]] == [
        EVERYTHING["privacy"]["network"]["metricsFrom"]
    ]


def test_grpc_is_marked_as_http2_without_tls() -> None:
    ports = {port["name"]: port for port in _children(privacy=WITHOUT_TLS)["Service", "digits"]["spec"]["ports"]}
    assert ports["grpc"]["appProtocol"] == "kubernetes.io/h2c"
    assert (ports["http"]["port"], ports["grpc"]["port"]) == (8000, 8001)


def test_a_gpu_image_serves_without_a_gpu_only_if_no_cpu_image_is_listed() -> None:
    gpu_only = Settings(operator_image="o:1", images=SETTINGS.images[:1])
    assert choose_server_image(a_deployment().spec, SETTINGS).version == "24.10"
    assert choose_server_image(a_deployment().spec, gpu_only).version == "26.11"
    assert choose_server_image(a_deployment(gpu={}).spec, SETTINGS).version == "26.11"


def test_a_cpu_image_is_never_chosen_for_a_gpu() -> None:
    cpu_only = Settings(operator_image="o:1", images=SETTINGS.images[1:])
    assert cpu_only.images[0].accelerator is Accelerator.CPU
    with pytest.raises(InvalidSpecError, match=r"spec\.triton\.version"):
        choose_server_image(a_deployment(gpu={}).spec, cpu_only)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"triton": {"version": "25.09"}},
            "25.09 for a CPU deployment; suitable entries: 24.10 (CPU), 26.11 (GPU). Choose",
        ),
        (
            {"triton": {"version": "24.10"}, "gpu": {}},
            "24.10 for a GPU deployment; suitable entries: 26.11 (GPU). Choose",
        ),
    ],
)
def test_the_message_about_an_unknown_version_lists_only_suitable_entries(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=re.escape(message)):
        choose_server_image(a_deployment(**spec).spec, SETTINGS)


def test_the_message_suggests_no_cpu_image_for_a_gpu() -> None:
    cpu_only = Settings(operator_image="o:1", images=SETTINGS.images[1:])
    with pytest.raises(
        InvalidSpecError, match=r"no default entry for a GPU deployment; it has no suitable entry\. Set"
    ):
        choose_server_image(a_deployment(gpu={}).spec, cpu_only)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("nvcr.io/nvidia/tritonserver:26.11-py3", "26.11"),
        ("registry.local:5000/triton:25.08", "25.08"),
        ("registry.local:5000/triton", ""),
        ("example.org/triton@sha256:abc", ""),
        ("example.org/triton:v1.2.3", ""),
    ],
)
def test_the_release_is_read_from_the_tag(image: str, version: str) -> None:
    assert choose_server_image(a_deployment(triton={"image": image}).spec, SETTINGS) == ServerImage(image, version)


@pytest.mark.parametrize(
    ("triton", "path"),
    [
        ({"image": "nvcr.io/nvidia/tritonserver:24.06-py3"}, r"spec\.triton\.image"),
        ({"image": "example.org/triton", "version": "24.01"}, r"spec\.triton\.image"),
        ({"version": "24.06"}, r"spec\.triton\.version"),
    ],
)
def test_a_release_whose_admin_apis_cannot_be_closed_is_rejected(triton: dict[str, str], path: str) -> None:
    old = Settings(operator_image="o:1", images=(CatalogueImage("t:1", "24.06", (), Accelerator.CPU),))
    with pytest.raises(InvalidSpecError, match=rf"{path}: Triton 24\.0\d is not supported, .* Choose 24\.07 or newer"):
        choose_server_image(a_deployment(triton=triton).spec, old)


def test_the_same_spec_renders_the_same_bytes() -> None:
    first, second = (render_new_revision(a_deployment(**EVERYTHING), SETTINGS).encoded for _ in range(2))
    assert first == second


def test_a_decoded_revision_builds_the_same_children() -> None:
    deployment = a_deployment(**EVERYTHING)
    revision = render_new_revision(deployment, SETTINGS)
    again = decode_revision(revision.encoded)
    assert build_children(deployment, again, number=1, replicas=2) == build_children(
        deployment, revision, number=1, replicas=2
    )


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 4},
        {"suspend": True},
        {"autoscaling": {"maxReplicas": 3}},
        {"service": {"type": "NodePort"}},
        {"serviceAccount": {"annotations": {"a": "b"}}},
        {"rollout": {"strategy": "Recreate", "paused": True, "progressDeadlineSeconds": 3600}},
        {"rollout": {"strategy": "RollingUpdate", "maxSurge": 2, "revisionHistoryLimit": 5}},
    ],
)
def test_fields_that_do_not_affect_pods_do_not_change_the_hash(change: dict[str, Any]) -> None:
    assert inputs_hash(a_deployment(**change).spec) == inputs_hash(a_deployment().spec)


@pytest.mark.parametrize(
    "change",
    [
        {"models": [{"name": "other"}]},
        {"gpu": {"count": 1}},
        {"triton": {"logLevel": "Info"}},
        {"triton": {"sharedMemorySize": "1Gi"}},
        {"triton": {"extraArgs": ["--http-thread-count=4"]}},
        {"triton": {"openEndpoints": ["Statistics"]}},
        {"triton": {"openEndpoints": []}},
        {"models": [{"name": "digits", "objective": "Latency"}]},
        {"models": [{"name": "digits", "config": {"maxBatchSize": 8}}]},
        {"models": [{"name": "digits", "configMapRef": {"name": "mine"}}]},
        {"lifecycle": {"startupTimeoutSeconds": 60}},
        {"rollout": {"restartedAt": "2026-11-30T21:00:00Z"}},
        {"resources": {"limits": {"cpu": 2}}},
        {"scheduling": {"nodeSelector": {"a": "b"}}},
        {"imagePullSecrets": [{"name": "x"}]},
        {"env": [{"name": "TZ", "value": "UTC"}]},
        {"podLabels": {"team": "vision"}},
        {"podAnnotations": {"team": "vision"}},
        {"imagePullPolicy": "Always"},
        {"serviceAccount": {"name": "models"}},
        {"dnsConfig": {"searches": ["example.com"]}},
        {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]},
        {"envFrom": [{"prefix": "A_", "secretRef": {"name": "x"}}]},
        {"modelRepository": {"image": {"reference": "example.org/models:2"}}},
    ],
)
def test_fields_that_affect_pods_change_the_hash(change: dict[str, Any]) -> None:
    assert inputs_hash(a_deployment(**change).spec) != inputs_hash(a_deployment().spec)


@pytest.mark.parametrize(
    ("spec", "frozen"),
    [
        ({}, "531bd4785e"),
        (EVERYTHING, "5191528a25"),
        (
            {
                "modelRepository": {"pvc": {"claimName": "models", "path": "/a"}},
                "triton": {"version": "26.11", "logLevel": "Info"},
            },
            "a7badd4180",
        ),
    ],
)
def test_the_hash_of_an_old_spec_never_changes(spec: dict[str, Any], frozen: str) -> None:
    """The hashes are those of version 0.1.0; another hash would roll every pod when the operator is upgraded."""
    assert inputs_hash(a_deployment(**spec).spec) == frozen


@given(name=st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True))
def test_every_child_name_is_a_dns_label(name: str) -> None:
    for child in render(a_deployment(name), SETTINGS):
        assert len(child["metadata"]["name"]) <= 63
        assert child["metadata"]["name"].startswith(name)
