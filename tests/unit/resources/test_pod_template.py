"""`spec.podTemplate`: what it may add, and that everything which would weaken the pods is refused with its path."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import BY_DIGEST, SETTINGS, a_body, a_deployment
from tests.fakes import World
from tests.pod_templates import BAD, GOOD, POD, SIDECAR, combined, template, weaknesses
from tests.tritonctl import tritonctl
from triton_operator.api.errors import MOST_PROBLEMS, InvalidSpecError, Problem
from triton_operator.api.pod_template import MOST_BYTES, MOST_LEVELS
from triton_operator.api.spec import ModelDeployment
from triton_operator.api.status import Truth
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import render_new_revision
from triton_operator.resources.isolation import LOCKED_DOWN
from triton_operator.resources.pod import render_structure
from triton_operator.resources.pod_template.check import find_template_problems
from triton_operator.resources.pod_template.own_containers import FOLDERS
from triton_operator.resources.revision import RevisionSummary
from triton_operator.resources.strategic_merge import merge_template

OPEN = {"profile": "Open"}
DECRYPTED: dict[str, Any] = {
    "resources": {"limits": {"memory": "2Gi"}},
    "decryption": {"secretRef": {"name": "keys", "key": "keyset"}, "memory": "1Gi"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 70_000) | st.text("ab/.-", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/.-", max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "containers",
        "initContainers",
        "volumes",
        "name",
        "image",
        "securityContext",
        "env",
        "secret",
        "secretName",
        "ports",
    ]
)


def find_problems(deployment: ModelDeployment) -> list[Problem]:
    return find_template_problems(deployment.spec, deployment.metadata.name)


def problems(pod: dict[str, Any], **spec: Any) -> dict[str, str]:
    """The messages about this template by their paths, without `spec.podTemplate`."""
    found = find_problems(a_deployment(podTemplate=template(pod), **spec))
    return {problem.path.removeprefix("spec.podTemplate."): problem.message for problem in found}


def merged(pod: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """The pod template with this one, which must be accepted."""
    deployment = a_deployment(podTemplate=template(pod), **spec)
    assert find_problems(deployment) == []
    return merge_template(render_structure(deployment), deployment.spec.pod_template)


def container(pod_template: dict[str, Any], name: str) -> dict[str, Any]:
    """The container or init container of this name."""
    pod = pod_template["spec"]
    (found,) = (each for each in [*pod["initContainers"], *pod["containers"]] if each["name"] == name)
    return dict(found)


@pytest.mark.parametrize("case", GOOD)
def test_an_addition_that_weakens_nothing_is_accepted(case: str) -> None:
    assert problems(GOOD[case]) == {}
    assert weaknesses(merged(GOOD[case]), render_structure(a_deployment())) == []


@pytest.mark.parametrize("case", BAD)
def test_what_weakens_the_pods_is_refused_by_its_path(case: str) -> None:
    path, pod = BAD[case]
    assert problems(pod).keys() == {path}


@given(good=st.lists(st.sampled_from(list(GOOD)), unique=True, max_size=6))
@settings(max_examples=60, deadline=None)
def test_the_pods_of_every_accepted_template_keep_the_promises_of_the_profile(good: list[str]) -> None:
    """Of any combination of additions. Merging a template twice is the same as merging it once."""
    deployment = a_deployment(podTemplate=template(combined([GOOD[case] for case in good])))
    rendered = render_structure(deployment)
    assert find_problems(deployment) == []
    once = merge_template(rendered, deployment.spec.pod_template)
    assert weaknesses(once, rendered) == []
    assert merge_template(once, deployment.spec.pod_template) == once


@given(good=st.sampled_from(list(GOOD)), bad=st.lists(st.sampled_from(list(BAD)), min_size=2, max_size=3, unique=True))
@settings(max_examples=60, deadline=None)
def test_one_weakness_does_not_hide_another(good: str, bad: list[str]) -> None:
    """Fields of the pod are reported together; of a field that several cases set, the last counts."""
    fields: dict[str, tuple[str, Any]] = {}
    for case in bad:
        path, pod = BAD[case]
        (name,) = {path.split(".")[1].split("[")[0]}
        fields[name] = path, pod[name]
    pod = {**GOOD[good], **{name: value for name, (_, value) in fields.items()}}
    if "volumes" not in fields:
        pod["volumes"] = POD["volumes"]
    assert {path for path, _ in fields.values()} <= problems(pod).keys()


@given(spec=st.dictionaries(FIELDS | st.text("ab", max_size=3), JSON, max_size=4))
@settings(max_examples=150, deadline=None)
def test_any_content_is_judged(spec: dict[str, Any]) -> None:
    """An object that was stored under another definition can contain anything."""
    items = [spec, {"name": "a", **spec}]
    for pod in (spec, {"containers": items}, {"initContainers": items}, {"volumes": items}):
        deployment = a_deployment(podTemplate=template(pod))
        if not find_problems(deployment):
            rendered = render_structure(deployment)
            assert weaknesses(merge_template(rendered, deployment.spec.pod_template), rendered) == []


FULL = combined(
    [
        *GOOD.values(),
        {
            "containers": [
                {
                    **POD["containers"][0],
                    "startupProbe": {"exec": {"command": ["a"]}, "periodSeconds": 2},
                    "livenessProbe": {"grpc": {"port": 1, "service": "a"}},
                    "lifecycle": {"preStop": {"sleep": {"seconds": 1}}, "postStart": {"tcpSocket": {"port": 9100}}},
                    "envFrom": [{"prefix": "A_", "configMapRef": {"name": "a"}}],
                    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
                }
            ],
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}
            },
        },
    ]
)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, 1, -1, 0.5, "", "a", [], {}, [{}], ["a"], [1], {"a": 1}, [[{}]], [{"name": "a"}]),
        *({"containers": [{}]}, {"env": [1]}, {"volumes": ["a"]}, {"fieldRef": {"apiVersion": 1}}),
        [{"name": {"a": 1}}],
    ]
)
NAMES = st.sampled_from(["containers", "env", "volumes", "readinessGates", "sysctls", "fieldRef", "name", "resources"])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each (object or list, key) in the value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, member in items for place in ((value, key), *places(member))]


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_accepted_can_be_rendered(data: st.DataObject) -> None:
    """A template with any part replaced, removed or added: an error while rendering would stop all later passes."""
    pod = copy.deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(pod)))
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[data.draw(NAMES)] = copy.deepcopy(data.draw(VALUES))
            case _:
                container[key] = copy.deepcopy(data.draw(VALUES))
    deployment = a_deployment(podTemplate=template(pod))
    if not find_problems(deployment):
        rendered = render_new_revision(deployment, SETTINGS)
        assert rendered.summary.containers
        assert msgspec.json.decode(rendered.encoded, type=RevisionSummary) == rendered.summary


@pytest.mark.parametrize("empty", [{}, {"spec": {}}, {"metadata": {}}, {"spec": {"securityContext": None}}])
def test_an_empty_template_changes_nothing(empty: dict[str, Any]) -> None:
    deployment = a_deployment(podTemplate=empty)
    assert find_problems(deployment) == []
    rendered = render_structure(deployment)
    assert merge_template(rendered, deployment.spec.pod_template) == rendered == render_structure(a_deployment())


def test_null_never_removes_what_the_operator_sets() -> None:
    pod = {
        "securityContext": {"runAsNonRoot": None},
        "hostNetwork": None,
        "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [{"name": "triton", "securityContext": None, "args": None}],
    }
    base = render_structure(a_deployment())
    result = merged(pod)
    assert container(result, "triton") == container(base, "triton")
    assert result["spec"]["securityContext"] == base["spec"]["securityContext"]


def test_an_added_container_is_as_restricted_as_those_of_the_operator() -> None:
    result = merged({"containers": [{"name": "shipper", "image": "example.org/shipper:1"}]})
    assert container(result, "shipper")["securityContext"] == LOCKED_DOWN
    writable = {"name": "shipper", "image": "a", "securityContext": {"readOnlyRootFilesystem": False}}
    security = container(merged({"containers": [writable]}), "shipper")["securityContext"]
    assert security == {**LOCKED_DOWN, "readOnlyRootFilesystem": False}


def test_an_added_container_gets_the_gpus_that_it_requests_and_no_others() -> None:
    """Images with CUDA set NVIDIA_VISIBLE_DEVICES to `all`."""
    gpu = {**SIDECAR, "name": "gpu", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    result = merged({"containers": [SIDECAR, gpu]}, gpu={"count": 1})
    assert container(result, "shipper")["env"] == [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    assert "env" not in container(result, "gpu")


def test_only_the_profile_open_allows_devices_to_which_no_network_policy_applies() -> None:
    devices = {"limits": {"rdma/hca": 1, "devices.kubevirt.io/tun": 1}, "claims": [{"name": "nic"}]}
    pod = {
        "resourceClaims": [{"name": "nic", "resourceClaimTemplateName": "nic"}],
        "containers": [{"name": "triton", "resources": devices}, {**SIDECAR, "resources": devices}],
    }
    paths = ("limits.rdma/hca", "limits.devices.kubevirt.io/tun", "claims")
    expected = {f"spec.containers[{index}].resources.{path}" for index in (0, 1) for path in paths}
    for profile in ("Private", "AirGapped"):
        pod["containers"][1]["image"] = f"example.org/a{BY_DIGEST}"
        assert problems(pod, privacy={"profile": profile}).keys() == {"spec.resourceClaims", *expected}
    assert problems(pod, privacy=OPEN) == {}


def test_what_the_api_server_replaces_by_a_default_is_not_applied() -> None:
    """Otherwise a restarted operator would apply the Deployment again. Labels of nodes may be empty."""
    field = {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": ""}}
    memory = {"resourceFieldRef": {"resource": "limits.memory", "divisor": 1}}
    sidecar = {
        **SIDECAR,
        "imagePullPolicy": "",
        "env": [{"name": "A", "valueFrom": field}, {"name": "B", "valueFrom": memory}],
        "ports": [{"containerPort": 9100, "protocol": ""}],
        "readinessProbe": {"httpGet": {"port": 9100, "scheme": ""}, "periodSeconds": 0, "initialDelaySeconds": 0},
    }
    pod: dict[str, Any] = {"dnsPolicy": "", "nodeSelector": {"scheme": ""}, "containers": [sidecar, {"name": "triton"}]}
    pod["containers"][1]["imagePullPolicy"] = ""
    result = merged(pod)
    shipper = container(result, "shipper")
    assert "dnsPolicy" not in result["spec"]
    assert result["spec"]["nodeSelector"] == {"scheme": ""}
    assert "imagePullPolicy" not in shipper
    assert container(result, "triton") == container(render_structure(a_deployment()), "triton")
    assert [variable.get("valueFrom") for variable in shipper["env"]] == [
        None,
        {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1"}},
    ]
    assert shipper["ports"] == [{"containerPort": 9100}]
    assert shipper["readinessProbe"] == {"httpGet": {"port": 9100}, "initialDelaySeconds": 0}


def test_containers_and_volumes_keep_their_order_and_additions_come_last() -> None:
    result = merged(POD)["spec"]
    assert [each["name"] for each in result["initContainers"]] == ["prepare", "proxy", "warm", "logs"]
    assert [each["name"] for each in result["containers"]] == ["triton", "exporter"]
    assert [each["name"] for each in result["volumes"]][-2:] == ["words", "buffer"]


def test_tolerations_and_selectors_are_added_to_those_of_the_spec() -> None:
    gpu, team = {"key": "gpu", "operator": "Exists"}, {"key": "team", "operator": "Exists"}
    scheduling = {"tolerations": [gpu], "nodeSelector": {"zone": "a"}}
    result = merged({"tolerations": [gpu, team], "nodeSelector": {"disk": "ssd"}}, scheduling=scheduling)["spec"]
    assert result["tolerations"] == [gpu, team]
    assert result["nodeSelector"] == {"zone": "a", "disk": "ssd"}


def test_a_constraint_of_the_spec_cannot_be_contradicted() -> None:
    """The API server rejects two constraints with one topology key and action; an equal one is not added again."""
    one = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    pod = {"topologySpreadConstraints": [one, {**one, "maxSkew": 2}, {**one, "whenUnsatisfiable": "DoNotSchedule"}]}
    path = "spec.topologySpreadConstraints[1]"
    assert problems(pod) == {path: "zone with ScheduleAnyway is used twice in the template, or also in spec.scheduling"}
    del pod["topologySpreadConstraints"][1]
    assert problems(pod, scheduling={"topologySpreadConstraints": [one]}) == {}
    assert problems(pod, scheduling={"topologySpreadConstraints": [{**one, "maxSkew": 3}]}).keys() == {
        "spec.topologySpreadConstraints[0]"
    }


def test_triton_can_mount_added_volumes_where_no_image_has_programs() -> None:
    words = {"name": "words", "configMap": {"name": "words"}}
    mount = {"name": "words", "mountPath": "/mnt/words", "readOnly": True}
    pod = {"volumes": [words], "containers": [{"name": "triton", "volumeMounts": [mount]}]}
    base = container(render_structure(a_deployment()), "triton")["volumeMounts"]
    assert container(merged(pod), "triton")["volumeMounts"] == [*base, mount]
    assert not any(each["mountPath"].startswith(FOLDERS) for each in base)


def test_with_decryption_triton_cannot_write_to_added_volumes() -> None:
    """Otherwise a backend could write the plaintext to a disk."""
    mount = {"name": "a", "mountPath": "/mnt/a"}
    pod = {
        "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [{"name": "triton", "volumeMounts": [mount]}],
    }
    assert problems(pod) == {}
    assert problems(pod, **DECRYPTED).keys() == {"spec.containers[0].volumeMounts[0].readOnly"}


@pytest.mark.parametrize(
    ("volume", "member"),
    [
        ({"persistentVolumeClaim": {"claimName": "shared"}}, "persistentVolumeClaim.readOnly"),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}, "ephemeral"),
        ({"csi": {"driver": "nfs.csi.k8s.io"}}, "csi"),
    ],
)
@pytest.mark.parametrize("profile", ["Private", "AirGapped"])
def test_private_profiles_allow_no_volume_through_which_data_leaves_the_pod(
    volume: dict[str, Any], member: str, profile: str
) -> None:
    pod = {"volumes": [{"name": "a", **volume}]}
    assert problems(pod, privacy={"profile": profile}).keys() == {f"spec.volumes[0].{member}"}
    assert problems(pod, privacy=OPEN) == {}


def test_air_gapped_requires_digests_of_added_images() -> None:
    pod = {
        "containers": [{"name": "a", "image": "example.org/a:1"}, {"name": "b", "image": f"example.org/b{BY_DIGEST}"}],
        "volumes": [{"name": "c", "image": {"reference": "example.org/c:1"}}],
    }
    found = problems(pod, privacy={"profile": "AirGapped"})
    assert found.keys() == {"spec.containers[0].image", "spec.volumes[0].image.reference"}
    assert "must be referenced by digest" in found["spec.containers[0].image"]
    assert problems(pod) == {}


@pytest.mark.parametrize(
    ("spec", "secret"),
    [
        (DECRYPTED, "keys"),
        ({"privacy": {"tls": {"mode": "Secret", "secretRef": {"name": "own-tls"}}}}, "own-tls"),
        ({"privacy": {"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": "a"}}}}}, "digits-tls"),
        (
            {
                "modelRepository": {"s3": {"bucket": "models"}, "credentialsSecretRef": {"name": "bucket"}},
                "privacy": OPEN,
            },
            "bucket",
        ),
        (
            {
                "modelRepository": {"s3": {"bucket": "models"}, "credentialsSecretRef": {"name": "bucket"}},
                "cache": {"size": "1Gi"},
            },
            "bucket",
        ),
        ({"imagePullSecrets": [{"name": "registry"}]}, "registry"),
        ({}, "triton-operator-serving"),
    ],
)
def test_no_added_container_can_read_the_secrets_of_the_operators_containers(spec: dict[str, Any], secret: str) -> None:
    """Through none of the ways to read a Secret; other Secrets are allowed."""

    def reads(name: str) -> dict[str, Any]:
        env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "a"}}}]
        sidecar = {**SIDECAR, "env": env, "envFrom": [{"prefix": "A_", "secretRef": {"name": name}}]}
        volumes = [
            {"name": "one", "secret": {"secretName": name}},
            {"name": "two", "projected": {"sources": [{"secret": {"name": name}}]}},
        ]
        return {"containers": [sidecar], "volumes": volumes}

    assert problems(reads(secret), **spec).keys() == {
        "spec.volumes[0].secret.secretName",
        "spec.volumes[1].projected.sources[0].secret.name",
        "spec.containers[0].env[0].valueFrom.secretKeyRef.name",
        "spec.containers[0].envFrom[0].secretRef.name",
    }
    assert problems(reads("another"), **spec) == {}


@pytest.mark.parametrize("spec", [{}, DECRYPTED, {"privacy": OPEN}])
def test_no_added_container_can_mount_a_volume_of_the_operator(spec: dict[str, Any]) -> None:
    volumes = [each["name"] for each in render_structure(a_deployment(**spec))["spec"]["volumes"]]
    assert {"models", "tmp"} <= set(volumes)
    for name in volumes:
        sidecar = {**SIDECAR, "volumeMounts": [{"name": name, "mountPath": "/a"}]}
        assert problems({"containers": [sidecar]}, **spec).keys() == {"spec.containers[0].volumeMounts[0].name"}
        assert problems({"volumes": [{"name": name, "emptyDir": {"sizeLimit": "1Gi"}}]}, **spec).keys() == {
            "spec.volumes[0].name"
        }


def test_the_name_of_the_proxy_is_reserved_in_pods_without_it() -> None:
    proxy = {"initContainers": [{"name": "proxy", "image": "example.org/a:1", "restartPolicy": "Always"}]}
    assert problems(proxy, privacy=OPEN) == {
        "spec.initContainers[0].name": "the pods have no container proxy in this TLS mode, and its name is reserved"
    }


def test_a_template_that_is_too_large_or_too_deep_is_refused_as_a_whole() -> None:
    deep: Any = "a"
    for _ in range(MOST_LEVELS):
        deep = {"a": deep}
    assert problems({"affinity": deep})["spec"] == f"is nested deeper than {MOST_LEVELS} levels"
    assert problems({"hostname": "a" * MOST_BYTES})["spec"] == "is 32 KiB of JSON; at most 32 KiB are allowed"
    assert "spec" not in problems({"hostname": "a" * (MOST_BYTES - 20)})


def test_of_thousands_of_mistakes_the_first_are_listed() -> None:
    """The search for similar names takes 0.1 ms for each, and the status has the message."""
    deployment = a_deployment(podTemplate=template({f"unknown{number}": 1 for number in range(1500)}))
    with pytest.raises(InvalidSpecError) as refused:
        validate(deployment.spec, "digits")
    message = str(refused.value)
    assert message.count("unknown field") == MOST_PROBLEMS
    assert message.endswith("; further errors are not listed")
    assert len(find_problems(deployment)) == MOST_PROBLEMS + 1


def test_all_mistakes_are_in_one_error() -> None:
    pod = {"hostNetwork": True, "containers": [{"name": "triton", "image": "a"}], "volumes": [{"name": "models"}]}
    metadata = {"labels": {"triton-operator.io/track": "a"}, "annotations": {"k8s.v1.cni.cncf.io/networks": "a"}}
    deployment = a_deployment(podTemplate=template(pod, metadata))
    with pytest.raises(InvalidSpecError) as refused:
        validate(deployment.spec, "digits")
    message = str(refused.value)
    assert message.startswith("spec.podTemplate.metadata.labels[triton-operator.io/track]: is reserved")
    assert "; spec.podTemplate.metadata.annotations[k8s.v1.cni.cncf.io/networks]: configures" in message
    assert "; spec.podTemplate.spec.hostNetwork: must not be true" in message
    assert "; spec.podTemplate.spec.volumes[0].name: models is a volume of the operator" in message
    assert "; spec.podTemplate.spec.containers[0].image: cannot be changed in the container triton" in message


def test_lint_and_render_report_what_the_operator_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And render shows the merged pods."""
    file = tmp_path / "digits.yaml"
    file.write_text(yaml.safe_dump(a_body(podTemplate=template({"hostPID": True, "hostIPC": True}))))
    for text in (tritonctl(capsys, "lint", file).out, tritonctl(capsys, "render", "-f", file).err):
        assert "spec.podTemplate.spec.hostPID: must not be true" in text
        assert "spec.podTemplate.spec.hostIPC: must not be true" in text
    file.write_text(yaml.safe_dump(a_body(podTemplate=template(POD))))
    manifests = yaml.safe_load_all(tritonctl(capsys, "render", "-f", file).out)
    (deployment,) = (manifest for manifest in manifests if manifest["kind"] == "Deployment")
    kubernetes_validate.validate(deployment, "1.35", strict=True)
    assert container(deployment["spec"]["template"], "exporter")["image"] == "example.org/exporter:1"


async def test_a_refused_template_changes_no_pod() -> None:
    world = World()
    await world.reconcile()
    before = world.template_hash
    world.edit(podTemplate=template({"hostNetwork": True}))
    await world.reconcile()
    accepted = world.condition("Accepted")
    assert (accepted.status, accepted.reason) == (Truth.FALSE, "InvalidSpec")
    assert accepted.message.startswith("spec.podTemplate.spec.hostNetwork: must not be true")
    assert world.template_hash == before
    world.edit(podTemplate=template(POD))
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE
    assert world.template_hash != before
