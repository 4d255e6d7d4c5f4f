"""The built claim, Job and policy are secure and valid, and their name is a hash of the inputs of the content."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import msgspec
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.build import render
from triton_operator.resources.cache_content import claim_name, recipe
from triton_operator.triton.prepare_contract import request as preparation

Object = dict[str, Any]

SPEC: Object = {
    "modelRepository": {
        "s3": {"bucket": "models", "prefix": "v1", "endpoint": "https://s3.example.com"},
        "credentialsSecretRef": {"name": "s3"},
        "caBundleConfigMapRef": {"name": "authority"},
    },
    "models": [
        {"name": "digits"},
        {"name": "linear", "modelRepository": {"http": {"url": "https://example.com/linear.tar.gz"}}},
        {"name": "pets", "modelRepository": {"image": {"reference": "example.org/pets:1"}}},
    ],
    "cache": {
        "size": "5Gi",
        "storageClassName": "fast",
        "accessModes": ["ReadWriteMany"],
        "egress": {"cidrs": ["203.0.113.0/24", "2001:db8::/32"], "ports": [443, 9000]},
    },
    "imagePullSecrets": [{"name": "registry"}],
    "scheduling": {
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"x": {}}, "podAntiAffinity": {"y": {}}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
    },
}


def an_object(**changes: Any) -> ModelDeployment:
    """The deployment of these tests."""
    return a_deployment(**(SPEC | changes))


def children(**changes: Any) -> dict[str, Object]:
    """Children of the cache by kind."""
    deployment = an_object(**changes)
    name = claim_name(deployment)
    return {body["kind"]: body for body in render(deployment, SETTINGS) if body["metadata"]["name"] == name}


def job_pod(**changes: Any) -> Object:
    """The pod of the Job."""
    pod: Object = children(**changes)["Job"]["spec"]["template"]["spec"]
    return pod


def egress(**changes: Any) -> list[Object]:
    """The egress rules of the Job."""
    rules: list[Object] = children(**changes)["NetworkPolicy"]["spec"]["egress"]
    return rules


def test_all_are_valid_for_kubernetes() -> None:
    affinity_of_kubernetes: Object = {**SPEC["scheduling"], "affinity": {"nodeAffinity": {}}}
    rendered = children(scheduling=affinity_of_kubernetes)
    assert rendered.keys() == {"PersistentVolumeClaim", "NetworkPolicy", "Job"}
    for body in rendered.values():
        kubernetes_validate.validate(body, "1.35", strict=True)


def test_the_pod_passes_the_restricted_level_and_has_no_token() -> None:
    pod = job_pod()
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert not security["allowPrivilegeEscalation"]
    assert security["readOnlyRootFilesystem"]
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_selector_of_serving_pods_does_not_match_the_pod() -> None:
    labels = children()["Job"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "cache"
    assert "triton-operator.io/track" not in labels


def test_the_jobs_list_of_downloads_contains_no_secret() -> None:
    template = children()["Job"]["spec"]["template"]
    annotation = template["metadata"]["annotations"]["triton-operator.io/preparation"]
    downloads = preparation.decode(annotation.encode()).downloads
    assert [download.target for download in downloads] == ["/cache/source", "/cache/source-1"]
    (config,) = [volume for volume in template["spec"]["volumes"] if volume["name"] == "config"]
    assert config["downwardAPI"]["items"][0]["path"] == preparation.CONFIG_FILE


def test_only_the_job_can_write_and_has_the_credentials() -> None:
    name = claim_name(an_object())
    bodies = render(an_object(), SETTINGS)
    serving = next(body for body in bodies if body["kind"] == "Deployment")["spec"]["template"]["spec"]
    secrets = [volume["name"] for volume in serving["volumes"] if "secret" in volume]
    assert secrets == ["serving-certificate"]
    for volume in serving["volumes"]:
        assert volume.get("persistentVolumeClaim", {"readOnly": True})["readOnly"] is True
    mounts = [
        mount for container in serving["initContainers"] + serving["containers"] for mount in container["volumeMounts"]
    ]
    cached = {volume["name"] for volume in serving["volumes"] if "persistentVolumeClaim" in volume}
    assert all(mount["readOnly"] for mount in mounts if mount["name"] in cached)
    mine = job_pod()
    assert {"claimName": name, "readOnly": False} in [volume.get("persistentVolumeClaim") for volume in mine["volumes"]]
    assert "s3" in [volume.get("secret", {}).get("secretName") for volume in mine["volumes"]]


def test_the_job_uses_the_nodes_of_serving_pods_but_no_gpu() -> None:
    pod = job_pod(gpu={"count": 1})
    assert pod["nodeSelector"] == {"zone": "a"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert pod["affinity"] == {"nodeAffinity": {"x": {}}}
    assert "topologySpreadConstraints" not in pod
    assert "runtimeClassName" not in pod
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["requests"]


def test_the_policy_allows_the_configured_egress_and_dns_but_no_ingress() -> None:
    spec = children()["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == []
    resolvers, sources = egress()
    assert {port["port"] for port in resolvers["ports"]} == {53, 5353}
    assert [peer["ipBlock"]["cidr"] for peer in sources["to"]] == ["203.0.113.0/24", "2001:db8::/32"]
    assert [port["port"] for port in sources["ports"]] == [443, 9000]


def test_without_cidrs_port_443_is_open_to_any_address() -> None:
    _, sources = egress(cache={"size": "5Gi"})
    assert sources == {"ports": [{"port": 443, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    ("repository", "port"),
    [
        ({"s3": {"bucket": "models"}}, 443),
        ({"s3": {"bucket": "models", "endpoint": "http://minio.storage.svc:9000"}}, 9000),
        ({"s3": {"bucket": "models", "endpoint": "http://[2001:db8::1]"}}, 80),
        ({"http": {"url": "https://example.com:8443/models.tar"}}, 8443),
        ({"http": {"url": "http://example.com/models.tar", "sha256": "a" * 64}}, 80),
        ({"http": {"url": "https://example.com:99999/models.tar"}}, 443),
        ({"http": {"url": "http://[:::]/models.tar", "sha256": "a" * 64}}, 80),
    ],
)
def test_the_default_ports_are_those_of_the_sources(repository: Object, port: int) -> None:
    _, sources = egress(modelRepository=repository, models=[{"name": "digits"}], cache={"size": "5Gi"})
    assert [each["port"] for each in sources["ports"]] == [port]


def test_the_policy_selects_the_pods_of_its_job_only() -> None:
    selected = children()["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert selected["batch.kubernetes.io/job-name"] == children()["Job"]["metadata"]["name"]


@pytest.mark.parametrize(
    "change",
    [
        {"modelRepository": {"s3": {**SPEC["modelRepository"]["s3"], "prefix": "v2"}}},
        {"models": [*SPEC["models"][:2], {"name": "more"}]},
        {"models": [{"name": "digits", "path": "elsewhere"}, *SPEC["models"][1:]]},
        {"models": [{"name": "digits", "digest": "sha256:" + "0" * 64}, *SPEC["models"][1:]]},
        {"cache": {**SPEC["cache"], "size": "6Gi"}},
        {"cache": {**SPEC["cache"], "storageClassName": "slow"}},
        {"cache": {**SPEC["cache"], "accessModes": ["ReadWriteOnce"]}},
    ],
)
def test_a_change_of_the_content_or_the_volume_gives_another_claim(change: Object) -> None:
    assert claim_name(an_object(**change)) != claim_name(an_object())


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 5},
        {"triton": {"version": "26.11"}},
        {"modelRepository": {**SPEC["modelRepository"], "credentialsSecretRef": {"name": "newer"}}},
        {"cache": {**SPEC["cache"], "egress": {}}},
        {"scheduling": {}},
    ],
)
def test_a_change_that_does_not_affect_the_content_keeps_the_claim(change: Object) -> None:
    assert claim_name(an_object(**change)) == claim_name(an_object())


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"modelRepository": {**SPEC["modelRepository"], "credentialsSecretRef": {"name": "newer"}}}, True),
        ({"modelRepository": {**SPEC["modelRepository"], "caBundleConfigMapRef": {"name": "newer"}}}, True),
        ({"imagePullSecrets": []}, True),
        ({"scheduling": {}}, True),
        ({"replicas": 5}, False),
        ({"cache": {**SPEC["cache"], "egress": {}}}, False),
    ],
)
def test_a_change_that_may_fix_a_job_changes_its_recipe(change: Object, *, again: bool) -> None:
    assert (recipe(an_object(**change).spec) != recipe(an_object().spec)) is again


def test_every_operator_computes_the_same_claim_name_and_recipe() -> None:
    newer = msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2")
    names = [
        {(body["kind"], body["metadata"]["name"]) for body in render(an_object(), settings)}
        for settings in (SETTINGS, newer)
    ]
    assert {pair for pair in names[0] if "-cache-" in pair[1]} == {pair for pair in names[1] if "-cache-" in pair[1]}


def test_an_error_of_the_user_fails_the_job_but_a_lost_node_does_not() -> None:
    job = children()["Job"]["spec"]
    fail, ignore = job["podFailurePolicy"]["rules"]
    assert (fail["action"], ignore["action"]) == ("FailJob", "Ignore")
    assert job["podReplacementPolicy"] == "Failed"
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in job
    assert "activeDeadlineSeconds" not in job
