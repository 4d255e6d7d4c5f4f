"""The operator's pod: its security settings, its namespace scope, and its restart when settings change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import SCENARIOS, Render, one
from triton_operator.resources.settings import Accelerator, FetchDefaults, PodUserIDs, load


def pod(render: Render, scenario: str = "default", **values: Any) -> dict[str, Any]:
    """The pod template of the operator's Deployment."""
    template: dict[str, Any] = one(render(scenario, **values), "Deployment")["spec"]["template"]
    return template


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_pod_passes_the_restricted_level(render: Render, scenario: str) -> None:
    """It has every field that Pod Security requires, so that the namespace can enforce the level."""
    spec = pod(render, scenario)["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"].get("runAsUser") == (None if scenario == "openshift" else 65532)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {next(key for key in volume if key != "name") for volume in spec["volumes"]} <= {"configMap", "emptyDir"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["privileged"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert all("hostPort" not in port for port in container["ports"])


def test_pod_has_a_memory_request_and_limit(render: Render) -> None:
    """A leak affects the operator and not other pods."""
    resources = pod(render)["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}


def test_pod_is_probed_where_it_listens(render: Render) -> None:
    """The probes, the port and the metrics Service name the same port."""
    objects = render()
    container = pod(render)["spec"]["containers"][0]
    assert container["ports"] == [{"name": "health", "containerPort": 8080, "protocol": "TCP"}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert one(objects, "Service")["spec"]["ports"][0]["targetPort"] == "health"


@pytest.mark.parametrize(("scenario", "watched"), [("default", False), ("namespace", True)])
def test_pod_gets_its_namespace_scope(render: Render, scenario: str, *, watched: bool) -> None:
    """Only the scope Namespace names one, its own."""
    env = {entry["name"]: entry for entry in pod(render, scenario)["spec"]["containers"][0]["env"]}
    assert {"POD_NAME", "POD_NAMESPACE", "TRITON_OPERATOR_SETTINGS"} <= env.keys()
    assert ("WATCH_NAMESPACE" in env) is watched
    if watched:
        assert env["WATCH_NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_operator_can_read_its_settings(render: Render, scenario: str, tmp_path: Path) -> None:
    """The code reads the file that the chart renders, at the path in the environment variable."""
    spec = pod(render, scenario)["spec"]
    container = spec["containers"][0]
    env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    assert env["TRITON_OPERATOR_SETTINGS"] == f"{container['volumeMounts'][0]['mountPath']}/settings.json"
    config = one(render(scenario), "ConfigMap", spec["volumes"][0]["configMap"]["name"])
    file = tmp_path / "settings.json"
    file.write_text(config["data"]["settings.json"])
    settings = load(file)
    assert settings.operator_image == container["image"]
    assert any(image.default for image in settings.images)


def test_defaults_for_downloads_are_settings_of_the_operator(render: Render, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(one(render("fetching"), "ConfigMap")["data"]["settings.json"])
    fetching = load(file).fetching
    assert fetching.http_proxy
    assert (fetching.http_proxy.url, fetching.http_proxy.no_proxy) == (
        "http://proxy.example.com:3128",
        (".svc", "10.0.0.0/8"),
    )
    assert fetching.http_proxy.credentials_secret_ref
    assert fetching.http_proxy.credentials_secret_ref.name == "proxy"
    assert fetching.proxy_cidrs == ("192.0.2.7/32",)
    assert fetching.ca_bundle_config_map_ref
    assert fetching.ca_bundle_config_map_ref.name == "company-ca"
    file.write_text(one(render(), "ConfigMap")["data"]["settings.json"])
    assert load(file).fetching == FetchDefaults()


@pytest.mark.parametrize(("scenario", "chosen"), [("default", PodUserIDs.FIXED), ("openshift", PodUserIDs.CLUSTER)])
def test_the_cluster_can_choose_the_ids_of_pods(
    render: Render, tmp_path: Path, scenario: str, chosen: PodUserIDs
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(one(render(scenario), "ConfigMap")["data"]["settings.json"])
    assert load(file).pod_user_ids is chosen


def test_the_default_catalogue_is_nvidias_image(render: Render, tmp_path: Path) -> None:
    """With default values, the production image serves."""
    file = tmp_path / "settings.json"
    file.write_text(one(render(), "ConfigMap")["data"]["settings.json"])
    (entry,) = load(file).images
    assert entry.image == "nvcr.io/nvidia/tritonserver:26.11-py3"
    assert (entry.version, entry.accelerator, entry.default) == ("26.11", Accelerator.GPU, True)
    assert {"pytorch", "python", "onnxruntime"} <= set(entry.backends)


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({"tag": "1.2.3"}, "r.example.com/operator:1.2.3"),
        ({"tag": ""}, "r.example.com/operator:0.1.0"),
        ({"digest": f"sha256:{'a' * 64}"}, f"r.example.com/operator@sha256:{'a' * 64}"),
        ({"tag": "1.2.3", "digest": f"sha256:{'a' * 64}"}, f"r.example.com/operator:1.2.3@sha256:{'a' * 64}"),
    ],
)
def test_image_by_tag_and_by_digest(render: Render, values: dict[str, str], image: str) -> None:
    """A digest pins; a tag alone falls back to the chart's version."""
    objects = render(image={"repository": "r.example.com/operator", **values})
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == image
    assert json.loads(one(objects, "ConfigMap")["data"]["settings.json"])["operatorImage"] == image


def test_new_settings_replace_the_pod(render: Render) -> None:
    """The operator reads its settings only at startup."""
    before = pod(render)["metadata"]["annotations"]["checksum/settings"]
    same = pod(render, metrics={"service": {"enabled": False}})["metadata"]["annotations"]["checksum/settings"]
    after = pod(render, "catalogue")["metadata"]["annotations"]["checksum/settings"]
    assert before == same != after


def test_pods_of_an_update_overlap(render: Render) -> None:
    """The standby takes over the Lease; if the old pod ended first, no operator would run in between."""
    strategy = one(render(), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_several_pods_prefer_different_nodes(render: Render) -> None:
    """A node failure must not affect both; the user's affinity replaces this one."""
    assert "affinity" not in pod(render)["spec"]
    assert "podAntiAffinity" in pod(render, "highly-available")["spec"]["affinity"]
    affinity: dict[str, Any] = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    }
    assert pod(render, replicas=2, affinity=affinity)["spec"]["affinity"] == affinity


def test_pod_values_are_applied_to_the_pod(render: Render) -> None:
    """Scheduling, labels and pull secrets."""
    template = pod(render, "highly-available")
    assert template["metadata"]["labels"]["team"] == "platform"
    assert template["spec"]["priorityClassName"] == "system-cluster-critical"
    assert template["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert template["spec"]["tolerations"][0]["operator"] == "Exists"
    assert pod(render, "closed")["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert template["spec"]["containers"][0]["env"][-1] == {"name": "TZ", "value": "UTC"}


def test_pods_are_spread_by_the_values(render: Render) -> None:
    """Without a selector, a constraint counts the operator's pods."""
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = {**constraint, "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}
    deployment = one(render(topologySpreadConstraints=[constraint, own]), "Deployment")["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread == [{**constraint, "labelSelector": deployment["selector"]}, own]


def test_the_cluster_may_choose_the_user(render: Render) -> None:
    """OpenShift assigns ids of the namespace; what keeps the pod from being root is not a value."""
    chosen = pod(render, securityContext={"runAsUser": None, "runAsGroup": None, "fsGroup": 1234})["spec"]
    kept = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert chosen["securityContext"] == {**kept, "fsGroup": 1234}
    assert pod(render, securityContext=None)["spec"]["securityContext"] == kept


def test_closed_pod_reaches_the_api_server_and_dns_only(render: Render) -> None:
    """The optional policy lists every permitted destination."""
    policy = one(render("closed"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [(port["port"], port["protocol"]) for rule in policy["egress"] for port in rule["ports"]] == [
        (6443, "TCP"),
        (53, "UDP"),
        (53, "TCP"),
    ]
    assert policy["ingress"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert policy["ingress"][0]["from"]
