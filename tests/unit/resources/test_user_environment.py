"""The user's environment variables: how they are rendered, and which ones would weaken the pod."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.builders import SETTINGS, a_deployment
from tests.paths import ROOT
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.names import AUTHORITY_SECRET, SERVING_SECRET
from triton_operator.reconcile.validate import validate
from triton_operator.resources import user_environment as rules
from triton_operator.resources.build import render
from triton_operator.resources.own_secrets import FIXED
from triton_operator.resources.server_environment import server_environment

CRD = (ROOT / "crds" / "modeldeployments.yaml").read_text()
OPEN = {"profile": "Open"}
OF_FAMILIES = ["PYTHONNEW", "BASH_FUNC_exec%%", "OMPI_MCA_mca_base_component_path"]
LIMITED = {"limits": {"cpu": 2}}
_MEMORY = {"limits": {"memory": "4Gi"}}


def _containers(**spec: Any) -> dict[str, dict[str, Any]]:
    (deployment,) = (each for each in render(a_deployment(**spec), SETTINGS) if each["kind"] == "Deployment")
    kubernetes_validate.validate(deployment, "1.35", strict=True)
    pod = deployment["spec"]["template"]["spec"]
    return {container["name"]: container for container in pod["initContainers"] + pod["containers"]}


def _refusal(**spec: Any) -> str:
    with pytest.raises(InvalidSpecError) as refused:
        validate(a_deployment(**spec).spec, "digits")
    return str(refused.value)


def test_the_variables_follow_those_of_the_operator_in_triton_only() -> None:
    """The value of a variable can refer to one before it."""
    sources = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "features", "key": "token", "optional": True}}},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "features", "key": "mode"}}},
    ]
    env_from = [{"prefix": "A_", "configMapRef": {"name": "shop"}}, {"prefix": "B_", "secretRef": {"name": "shop"}}]
    env = [{"name": "THREADS", "value": "$(OMP_NUM_THREADS)"}, {"name": "EMPTY"}, *sources]
    found = _containers(env=env, envFrom=env_from, resources=LIMITED)
    own = [variable.name for variable in server_environment(a_deployment(resources=LIMITED).spec)]
    assert "OMP_NUM_THREADS" in own
    rendered = found["triton"]["env"]
    assert [variable["name"] for variable in rendered[: len(own)]] == own
    assert rendered[len(own) :] == [env[0], {"name": "EMPTY", "value": ""}, *sources]
    assert found["triton"]["envFrom"] == env_from
    assert not any({"env", "envFrom"} & found[name].keys() for name in ("prepare", "proxy"))


def test_a_selector_has_the_values_that_the_api_server_would_add() -> None:
    """Otherwise a restarted operator would find a difference in each pod template."""
    fields = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
        {"name": "MIB", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]
    rendered = [each["valueFrom"] for each in _containers(env=fields)["triton"]["env"][-3:]]
    assert rendered == [
        {"fieldRef": {"fieldPath": "status.podIP", "apiVersion": "v1"}},
        {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "0"}},
        {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
    ]


def test_without_variables_the_container_is_unchanged() -> None:
    assert _containers()["triton"] == _containers(env=[], envFrom=[])["triton"]
    assert "envFrom" not in _containers()["triton"]


def test_every_variable_that_weakens_the_pod_is_rejected_at_once() -> None:
    names = ["TZ", "LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES", "MALLOC_TOP_PAD_", "GRPC_TRACE", "PYTHONUTF8"]
    env_from = [{"secretRef": {"name": "a"}}, {"prefix": "SHOP_", "secretRef": {"name": "a"}}]
    message = _refusal(env=[{"name": name} for name in names], envFrom=env_from)
    assert message.startswith("spec.env[1].name: LD_PRELOAD can run code from elsewhere; only the profile Open")
    assert "spec.env[2].name: NVIDIA_VISIBLE_DEVICES gives the pod devices" in message
    assert "spec.env[3].name: MALLOC_TOP_PAD_ is set by the operator (" in message
    assert "spec.env[4].name: GRPC_TRACE writes requests to the log" in message
    assert "spec.envFrom[0].prefix: could set variables such as BASHOPTS, because the operator cannot see" in message
    assert not re.search(r"env\[[05]\]|envFrom\[1\]", message)


@pytest.mark.parametrize("profile", ["Private", "AirGapped"])
@pytest.mark.parametrize("name", [*rules.CODE, *rules.PAYLOAD, "LD_AUDIT", "PYTHONPATH", *OF_FAMILIES])
def test_private_profiles_reject_code_from_elsewhere_and_logged_requests(name: str, profile: str) -> None:
    """The profile Open allows them, for example to preload another allocator."""
    assert name in _refusal(env=[{"name": name}], privacy={"profile": profile})
    validate(a_deployment(env=[{"name": name}], privacy=OPEN).spec)


@pytest.mark.parametrize("name", rules.DEVICES)
def test_no_profile_allows_devices_that_were_not_scheduled(name: str) -> None:
    assert name in _refusal(env=[{"name": name}], privacy=OPEN)


@pytest.mark.parametrize(
    "name", ["NVIDIA_MOFED", "NVIDIA_GDS", "NVIDIA_GDRCOPY", "NVIDIA_NVSWITCH", "PARENT_PIPE_DESCRIPTOR"]
)
def test_no_profile_allows_network_devices_or_the_pipe_of_the_servers_parent(name: str) -> None:
    """A NetworkPolicy does not apply to RDMA devices, and the entrypoint of the CPU image reads the pipe."""
    assert f"{name} " in _refusal(env=[{"name": name}], privacy=OPEN)


@pytest.mark.parametrize("name", ["NCCL_NET_PLUGIN", "HSA_TOOLS_LIB", "UCX_MODULE_DIR", "OCL_ICD_FILENAMES", "CC"])
def test_plugins_and_compilers_of_libraries_are_code_from_elsewhere(name: str) -> None:
    assert f"{name} can run code from elsewhere" in _refusal(env=[{"name": name}])


def test_only_variables_that_the_operator_sets_are_reserved() -> None:
    """Without a CPU limit, the number of threads is the user's."""
    threads = [{"name": "OMP_NUM_THREADS", "value": "4"}]
    validate(a_deployment(env=threads).spec)
    assert "OMP_NUM_THREADS is set by the operator" in _refusal(env=threads, resources=LIMITED, privacy=OPEN)


@pytest.mark.parametrize("name", [*rules.HARMLESS, "LDAP_URL", "CUDA_VISIBLE_DEVICES", "HTTPS_PROXY", "ENVIRONMENT"])
def test_other_variables_are_allowed(name: str) -> None:
    validate(a_deployment(env=[{"name": name}]).spec)


@pytest.mark.parametrize(
    "prefix", ["", "P", "PYTHON", "PYTHON_APP_", "L", "LD_", "NVIDIA_", "BASH_E", "ENV", "BASH_FUNC_"]
)
def test_private_profiles_reject_a_prefix_with_which_such_a_variable_can_begin(prefix: str) -> None:
    source = {"secretRef": {"name": "a"}} | ({"prefix": prefix} if prefix else {})
    assert "spec.envFrom[0].prefix: could set variables such as " in _refusal(envFrom=[source])
    validate(a_deployment(envFrom=[source], privacy=OPEN).spec)


@pytest.mark.parametrize("prefix", ["SHOP_", "LDAP_", "PATHS_", "PY_", "ENV_"])
def test_another_prefix_is_allowed(prefix: str) -> None:
    validate(a_deployment(envFrom=[{"prefix": prefix, "secretRef": {"name": "a"}}]).spec)


_REPOSITORY = {"s3": {"bucket": "models"}, "credentialsSecretRef": {"name": "bucket"}}
OWN_SECRETS: dict[str, dict[str, Any]] = {
    SERVING_SECRET: {},
    AUTHORITY_SECRET: {"privacy": {"tls": {"mode": "Disabled"}}},
    "bucket": {"modelRepository": _REPOSITORY, "cache": {"size": "1Gi"}},
    "of-a-model": {
        "models": [{"name": "a", "modelRepository": _REPOSITORY | {"credentialsSecretRef": {"name": "of-a-model"}}}],
        "cache": {"size": "1Gi"},
    },
    "registry": {"imagePullSecrets": [{"name": "registry"}]},
    "keyset": {"decryption": {"secretRef": {"name": "keyset"}, "memory": "1Gi"}, "resources": _MEMORY},
    "certificate": {"privacy": {"tls": {"mode": "Secret", "secretRef": {"name": "certificate"}}}},
    "digits-tls": {"privacy": {"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": "a"}}}}},
}
"""A Secret of the operator's containers, and a spec that has it."""


@pytest.mark.parametrize("secret", OWN_SECRETS)
def test_no_variable_reads_a_secret_of_the_operators_containers(secret: str) -> None:
    """Models could send the keys of all deployments of the namespace to their clients."""
    message = _refusal(**OWN_SECRETS[secret], **_variables_from(secret))
    assert f"spec.env[0].valueFrom.secretKeyRef.name: Secret {secret} contains keys or credentials" in message
    assert f"spec.envFrom[0].secretRef.name: Secret {secret} contains keys or credentials" in message
    validate(a_deployment(**OWN_SECRETS[secret], **_variables_from("features")).spec, "digits")


def test_a_pod_template_follows_the_same_rule_when_a_cache_has_the_credentials() -> None:
    """Serving pods do not mount the credentials then."""
    read = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "bucket", "key": "a"}}}
    template = {"spec": {"containers": [{"name": "a", "image": "b", "env": [read]}]}}
    assert "env[0].valueFrom.secretKeyRef.name: Secret bucket" in _refusal(
        **OWN_SECRETS["bucket"], podTemplate=template
    )


def _variables_from(secret: str) -> dict[str, Any]:
    key = {"name": secret, "key": "a"}
    return {
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": key}}],
        "envFrom": [{"prefix": "SHOP_", "secretRef": {"name": secret}}],
    }


def test_the_definition_has_the_fixed_names_of_secrets() -> None:
    schema = yaml.safe_load(CRD)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    key = schema["env"]["items"]["properties"]["valueFrom"]["properties"]["secretKeyRef"]
    for reference in (key, schema["envFrom"]["items"]["properties"]["secretRef"]):
        (rule,) = reference["x-kubernetes-validations"]
        assert set(re.findall(r"'([a-z-]+)'", rule["rule"])) == set(FIXED)


def test_the_definition_has_the_same_names() -> None:
    """The API server rejects what the operator rejects."""
    schema = yaml.safe_load(CRD)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    texts = {
        rule["fieldPath"] + str("self.env.exists" in rule["rule"]): rule["rule"]
        for rule in schema["x-kubernetes-validations"]
        if "'Open'" in rule["rule"] and rule["fieldPath"] in {".env", ".envFrom"}
    }
    devices, pipe = schema["properties"]["env"]["items"]["properties"]["name"]["x-kubernetes-validations"]
    families = set(rules.CODE_FAMILIES)
    assert _quoted(devices["rule"]) == set(rules.DEVICES)
    assert _quoted(pipe["rule"]) == set(rules.ENTRYPOINT)
    assert _quoted(texts[".envTrue"]) == {*rules.CODE, *rules.PAYLOAD, *rules.HARMLESS, *families, "Open"}
    assert _quoted(texts[".envFromFalse"]) == {
        *rules.CODE,
        *rules.PAYLOAD,
        *rules.DEVICES,
        *rules.ENTRYPOINT,
        *families,
        "Open",
    }


def _quoted(rule: str) -> set[str]:
    return set(re.findall(r"'([A-Za-z0-9_]+)'", rule))
