"""HttpCluster against a real API server, because no fake implements field ownership."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.controlplane import ControlPlane
from tests.apiserver.api_client import Api
from triton_operator.api.names import SCALE_MANAGER
from triton_operator.api.status import Condition, Failure, ModelState, ModelStatus, Status, Truth
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.errors import (
    ConflictError,
    DeniedError,
    InvalidObjectError,
    NotFoundError,
    TerminatingError,
    UnavailableError,
)
from triton_operator.cluster.http import HttpCluster
from triton_operator.cluster.kubeconfig import from_kubeconfig
from triton_operator.cluster.observed import Child, DeploymentState, Kind, PodEvent

Object = dict[str, Any]
LABELS = {"app.kubernetes.io/managed-by": "triton-operator", "triton-operator.io/model-deployment": "digits"}


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[ApiClient]:
    """Open a session as administrator."""
    async with ApiClient(from_kubeconfig(kubeconfig)) as opened:
        yield opened


@pytest.fixture
def cluster(client: ApiClient) -> HttpCluster:
    """Return the cluster as the operator sees it."""
    return HttpCluster(client, instance="operator-1")


def a_deployment(namespace: str, **spec: Any) -> Object:
    """A Deployment as the operator applies it."""
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "triton", "image": "example.org/triton:1"}], "volumes": []},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "digits", "namespace": namespace, "labels": LABELS},
        "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": template, **spec},
    }


def a_service(namespace: str, **spec: Any) -> Object:
    """A Service as the operator applies it."""
    ports = [{"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "digits", "namespace": namespace, "labels": LABELS},
        "spec": {"type": "ClusterIP", "selector": LABELS, "ports": ports, **spec},
    }


def a_config_map(namespace: str, **data: str) -> Object:
    """A ConfigMap as the operator applies it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "digits", "namespace": namespace, "labels": LABELS},
        "data": data,
    }


def deployments(namespace: str) -> str:
    """URL path of the Deployment."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/digits"


def services(namespace: str) -> str:
    """URL path of the Service."""
    return f"/api/v1/namespaces/{namespace}/services/digits"


def strategic_merge(api: Api, path: str, body: Object) -> None:
    """What `kubectl edit` sends: lists are merged by their keys."""
    api._ask("PATCH", path, body, {}, "application/strategic-merge-patch+json")


def owners(stored: Object) -> set[tuple[str, str]]:
    """(manager, operation) of all field owners."""
    return {(entry["manager"], entry["operation"]) for entry in stored["metadata"]["managedFields"]}


def state(child: Child) -> DeploymentState:
    """The state of a Deployment."""
    assert isinstance(child.state, DeploymentState)
    return child.state


async def test_creation_makes_an_object_that_belongs_to_our_applies_alone(
    cluster: HttpCluster, api: Api, namespace: str
) -> None:
    """An `Update` entry of the operator would keep every field that a later apply drops."""
    child = await cluster.create(a_deployment(namespace))
    assert owners(api.get(deployments(namespace))) == {("triton-operator", "Apply")}
    assert (child.kind, child.name, child.deployment, child.has_foreign_fields) == (
        Kind.DEPLOYMENT,
        "digits",
        "digits",
        False,
    )
    assert state(child).owns_replicas
    assert state(child).replicas == 2


async def test_creation_never_takes_over_what_exists(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """Another client's object stays unchanged."""
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", a_config_map(namespace, theirs="yes"))
    with pytest.raises(ConflictError):
        await cluster.create(a_config_map(namespace, ours="yes"))
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/digits")["data"] == {"theirs": "yes"}


async def test_an_apply_hits_only_the_object_it_means(cluster: HttpCluster, namespace: str) -> None:
    """After a deletion and another client's creation, the uid differs; after a deletion, nothing is created."""
    child = await cluster.create(a_config_map(namespace, a="1"))
    await cluster.delete(Kind.CONFIG_MAP, namespace, "digits", uid=child.uid)
    with pytest.raises(ConflictError):
        await cluster.apply(a_config_map(namespace, a="2"), uid=child.uid)
    assert await cluster.get(Kind.CONFIG_MAP, namespace, "digits") is None
    namesake = await cluster.create(a_config_map(namespace, a="3"))
    with pytest.raises(ConflictError):
        await cluster.apply(a_config_map(namespace, a="4"), uid=child.uid)
    await cluster.delete(Kind.CONFIG_MAP, namespace, "digits", uid=child.uid)
    assert await cluster.get(Kind.CONFIG_MAP, namespace, "digits") == namesake


async def test_an_apply_drops_what_is_no_longer_wanted(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """The same apply twice gives the same fingerprint, so it counts as no change."""
    desired = a_deployment(namespace)
    child = await cluster.create(a_deployment(namespace, minReadySeconds=7))
    applied = await cluster.apply(desired, uid=child.uid)
    again = await cluster.apply(desired, uid=child.uid)
    assert "minReadySeconds" not in api.get(deployments(namespace))["spec"]
    assert child.fingerprint != applied.fingerprint == again.fingerprint
    assert applied.resource_version == again.resource_version


async def test_status_and_scale_of_a_deployment_are_no_drift(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """The controller's annotation and status, and `kubectl scale`, do not change fingerprint and ownership."""
    child = await cluster.create(a_deployment(namespace))
    api.merge(deployments(namespace), {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}})
    api.merge(f"{deployments(namespace)}/status", {"status": {"observedGeneration": 1, "replicas": 2}})
    api.merge(f"{deployments(namespace)}/scale", {"spec": {"replicas": 5}})
    now = await cluster.get(Kind.DEPLOYMENT, namespace, "digits")
    assert now is not None
    assert (now.fingerprint, now.has_foreign_fields) == (child.fingerprint, False)
    assert (state(now).replicas, state(now).current_replicas, state(now).owns_replicas) == (5, 2, False)


async def test_replicas_are_handed_over_to_the_second_manager(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """After one apply of the current count by that manager, omitting replicas keeps them."""
    desired = a_deployment(namespace, replicas=4)
    child = await cluster.create(desired)
    count = {key: desired[key] for key in ("apiVersion", "kind")}
    count |= {"metadata": {"name": "digits", "namespace": namespace}, "spec": {"replicas": 4}}
    await cluster.apply(count, uid=child.uid, manager=SCALE_MANAGER)
    del desired["spec"]["replicas"]
    handed_over = await cluster.apply(desired, uid=child.uid)
    assert (state(handed_over).replicas, state(handed_over).owns_replicas, handed_over.has_foreign_fields) == (
        4,
        False,
        False,
    )
    assert api.get(deployments(namespace))["spec"]["replicas"] == 4


FOREIGN_PARTS = [
    {"spec": {"template": {"spec": {"containers": [{"name": "spy", "image": "example.org/spy:1"}]}}}},
    {"spec": {"template": {"spec": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}}}},
    {"spec": {"template": {"spec": {"hostNetwork": True}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "triton", "env": [{"name": "A", "value": "b"}]}]}}}},
    {"spec": {"template": {"spec": {"containers": [{"name": "triton", "image": "example.org/evil:1"}]}}}},
    {"spec": {"minReadySeconds": 3, "replicas": 9}},
]


@pytest.mark.parametrize("change", FOREIGN_PARTS, ids=lambda change: next(iter(change["spec"])))
async def test_replacing_a_deployment_removes_what_others_put_in(
    cluster: HttpCluster, api: Api, namespace: str, change: Object
) -> None:
    """Added and changed fields are removed; labels stay, and later applies can still drop the operator's fields."""
    desired = a_deployment(namespace)
    before = await cluster.create(a_deployment(namespace, revisionHistoryLimit=3))
    before = await cluster.apply(desired, uid=before.uid)
    strategic_merge(api, deployments(namespace), change)
    api.merge(deployments(namespace), {"metadata": {"labels": {"theirs": "yes"}}})
    restarted = {"kubectl.kubernetes.io/restartedAt": "now"}
    api.merge(deployments(namespace), {"spec": {"template": {"metadata": {"annotations": restarted}}}})
    changed = await cluster.get(Kind.DEPLOYMENT, namespace, "digits")
    assert changed is not None
    assert changed.has_foreign_fields

    after = await cluster.replace(desired, uid=before.uid)

    stored = api.get(deployments(namespace))
    assert not after.has_foreign_fields
    assert stored["metadata"]["labels"] == {**LABELS, "theirs": "yes"}
    assert stored["spec"]["template"]["metadata"]["annotations"] == restarted
    assert stored["spec"]["replicas"] == 2
    assert [container["image"] for container in stored["spec"]["template"]["spec"]["containers"]] == [
        "example.org/triton:1"
    ]
    assert not {"volumes", "hostNetwork"} & stored["spec"]["template"]["spec"].keys()
    assert "minReadySeconds" not in stored["spec"]
    assert ("triton-operator", "Update") not in owners(stored)
    await assert_applies_can_drop(cluster, api, namespace, before.uid)


async def assert_applies_can_drop(cluster: HttpCluster, api: Api, namespace: str, uid: str) -> None:
    """Apply a field, omit it in the next apply, and check that it is removed."""
    extended = a_deployment(namespace)
    extended["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    await cluster.apply(extended, uid=uid)
    assert api.get(deployments(namespace))["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    await cluster.apply(a_deployment(namespace), uid=uid)
    assert "nodeSelector" not in api.get(deployments(namespace))["spec"]["template"]["spec"]
    without_env = a_deployment(namespace)
    del without_env["spec"]["template"]["spec"]["containers"][0]["image"]
    with pytest.raises(InvalidObjectError, match="image"):
        await cluster.apply(without_env, uid=uid)


async def test_replacing_keeps_the_autoscalers_replicas(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """If the manifest does not set them."""
    desired = a_deployment(namespace)
    child = await cluster.create(desired)
    api.merge(deployments(namespace), {"spec": {"replicas": 7, "paused": True}})
    del desired["spec"]["replicas"]
    replaced = await cluster.replace(desired, uid=child.uid)
    assert (state(replaced).replicas, replaced.has_foreign_fields) == (7, False)
    assert "paused" not in api.get(deployments(namespace))["spec"]


async def test_replacing_a_service_removes_ways_in_and_keeps_its_address(
    cluster: HttpCluster, api: Api, namespace: str
) -> None:
    """`externalIPs`, another type or port are removed. Cluster IPs are immutable and stay."""
    child = await cluster.create(a_service(namespace))
    address = api.get(services(namespace))["spec"]["clusterIP"]
    spy = {"name": "spy", "port": 22, "targetPort": 22, "protocol": "TCP"}
    api.merge(services(namespace), {"spec": {"externalIPs": ["192.0.2.1"], "type": "LoadBalancer"}})
    strategic_merge(api, services(namespace), {"spec": {"ports": [spy]}})
    replaced = await cluster.replace(a_service(namespace), uid=child.uid)
    spec = api.get(services(namespace))["spec"]
    assert not replaced.has_foreign_fields
    assert (spec["clusterIP"], spec["type"], [port["port"] for port in spec["ports"]]) == (address, "ClusterIP", [8000])
    assert "externalIPs" not in spec
    assert replaced.fingerprint == (await cluster.apply(a_service(namespace), uid=child.uid)).fingerprint


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
async def test_replacing_a_service_keeps_its_node_ports(
    cluster: HttpCluster, api: Api, namespace: str, kind: str
) -> None:
    """Clients outside the cluster use them."""
    desired = a_service(namespace, type=kind)
    child = await cluster.create(desired)
    port = api.get(services(namespace))["spec"]["ports"][0]["nodePort"]
    api.merge(services(namespace), {"spec": {"externalIPs": ["192.0.2.1"]}})
    await cluster.replace(desired, uid=child.uid)
    spec = api.get(services(namespace))["spec"]
    assert (spec["ports"][0]["nodePort"], "externalIPs" in spec) == (port, False)


async def test_replacing_a_headless_service_and_a_config_map(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """Keys that others added are removed."""
    headless = a_service(namespace, clusterIP="None")
    service = await cluster.create(headless)
    api.merge(services(namespace), {"spec": {"publishNotReadyAddresses": True, "sessionAffinity": "ClientIP"}})
    config = await cluster.create(a_config_map(namespace, ours="1"))
    api.merge(f"/api/v1/namespaces/{namespace}/configmaps/digits", {"data": {"ours": "2", "theirs": "1"}})
    assert not (await cluster.replace(headless, uid=service.uid)).has_foreign_fields
    assert not (await cluster.replace(a_config_map(namespace, ours="1"), uid=config.uid)).has_foreign_fields
    spec = api.get(services(namespace))["spec"]
    assert (spec["sessionAffinity"], "publishNotReadyAddresses" in spec) == ("None", False)
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/digits")["data"] == {"ours": "1"}


async def test_replacing_hits_only_the_object_it_means(cluster: HttpCluster, namespace: str) -> None:
    """Like an apply."""
    await cluster.create(a_config_map(namespace, a="1"))
    with pytest.raises(ConflictError):
        await cluster.replace(a_config_map(namespace, a="2"), uid="another")


def a_status(**fields: Any) -> Status:
    """A status of generation 1."""
    return Status(observed_generation=1, **fields)


@pytest.fixture
def digits(api: Api, namespace: str) -> Object:
    """Create a ModelDeployment."""
    spec = {"modelRepository": {"image": {"reference": "example.org/models:1"}}, "models": [{"name": "digits"}]}
    return api.create(
        f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments",
        {
            "apiVersion": "triton-operator.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "digits", "namespace": namespace},
            "spec": spec,
        },
    )


def model_deployments(namespace: str) -> str:
    """URL path of the ModelDeployment."""
    return f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments/digits"


async def test_a_status_is_written_whole(cluster: HttpCluster, api: Api, namespace: str, digits: Object) -> None:
    """Fields, list entries and conditions that are absent in the next one are removed."""
    uid = digits["metadata"]["uid"]
    time = "2026-01-02T03:04:05Z"
    ready = Condition("Ready", Truth.FALSE, "RollingOut", "wait", time, 1)
    scaling = Condition("ScalingActive", Truth.TRUE, "Scaling", "", time, 1)
    failure = Failure(pod="digits-1", container="triton", reason="Crashed", exit_code=1)
    first = a_status(
        replicas=1,
        conditions=(ready, scaling),
        models=(ModelStatus("digits", ModelState.PENDING), ModelStatus("other", ModelState.READY, ("1",))),
        last_failure=failure,
    )
    answer = await cluster.write_status(namespace, "digits", uid, first)
    stored = api.get(model_deployments(namespace))
    for field in ("uid", "resourceVersion", "generation"):
        assert answer["metadata"][field] == stored["metadata"][field]
    assert (answer["spec"], answer["status"]) == (stored["spec"], stored["status"])
    assert stored["status"]["lastFailure"]["exitCode"] == 1
    second = a_status(conditions=(ready,), models=(ModelStatus("digits", ModelState.READY, ("1",)),))
    await cluster.write_status(namespace, "digits", uid, second)
    status = api.get(model_deployments(namespace))["status"]
    assert [condition["type"] for condition in status["conditions"]] == ["Ready"]
    assert [model["name"] for model in status["models"]] == ["digits"]
    assert "lastFailure" not in status
    unchanged = await cluster.write_status(namespace, "digits", uid, second)
    assert (
        unchanged["metadata"]["resourceVersion"] == api.get(model_deployments(namespace))["metadata"]["resourceVersion"]
    )


async def test_a_status_meets_only_the_object_it_is_about(cluster: HttpCluster, namespace: str, digits: Object) -> None:
    """Another object of the same name is not changed, and nothing is created."""
    with pytest.raises(ConflictError):
        await cluster.write_status(namespace, "digits", "another", a_status())
    with pytest.raises(NotFoundError):
        await cluster.write_status(namespace, "nobody", "another", a_status())


async def test_events_can_be_posted_and_read(cluster: HttpCluster, api: Api, namespace: str, digits: Object) -> None:
    """`kubectl describe` finds the operator's Events by uid; a message too long for the API is truncated."""
    uid = digits["metadata"]["uid"]
    reported = {"type": "Warning", "reason": "ModelLoadFailed", "action": "Reconcile"}
    await cluster.post_event(namespace, "digits", uid, message="ä" * 600, **reported)
    await cluster.post_event(namespace, "digits", uid, message="second", **reported)
    events = await cluster.pod_events(namespace, uid)
    assert [event.message for event in events] == ["ä" * 510 + "…", "second"]
    assert events[1] == PodEvent(type="Warning", reason="ModelLoadFailed", message="second")
    stored = api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
    assert {event["reportingController"] for event in stored} == {"triton-operator"}
    assert len({event["metadata"]["name"] for event in stored}) == 2


async def test_events_of_the_kubelet_are_read_in_their_old_form(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """The kubelet writes core/v1 Events with timestamps in seconds."""
    for number, reason in enumerate(["FailedMount", "Scheduled"]):
        event = {
            "metadata": {"name": f"pod.{number}", "namespace": namespace},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "pod", "uid": "pod-uid"},
            "type": "Warning",
            "reason": reason,
            "message": "details",
            "lastTimestamp": f"2026-01-02T03:04:0{9 - number}Z",
        }
        api.create(f"/api/v1/namespaces/{namespace}/events", {"apiVersion": "v1", "kind": "Event", **event})
    events = await cluster.pod_events(namespace, "pod-uid")
    assert [event.reason for event in events] == ["Scheduled", "FailedMount"]


async def test_what_replica_sets_mount_is_in_use(cluster: HttpCluster, api: Api, namespace: str) -> None:
    """ConfigMaps, also as a source of a projected volume, and claims; of this deployment only."""
    volumes = [
        {"name": "direct", "configMap": {"name": "digits-config-1"}},
        {"name": "mixed", "projected": {"sources": [{"configMap": {"name": "digits-config-2"}}]}},
        {"name": "cache", "persistentVolumeClaim": {"claimName": "digits-cache-1"}},
        {"name": "empty", "emptyDir": {}},
    ]
    for name, labels in {"digits": LABELS, "other": {**LABELS, "triton-operator.io/model-deployment": "other"}}.items():
        template = a_deployment(namespace)["spec"]["template"]
        template["metadata"]["labels"] = labels
        template["spec"]["volumes"] = [] if name == "other" else volumes
        replica_set = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        }
        api.create(f"/apis/apps/v1/namespaces/{namespace}/replicasets", replica_set)
    assert await cluster.mounted(namespace, "digits") == {
        (Kind.CONFIG_MAP, "digits-config-1"),
        (Kind.CONFIG_MAP, "digits-config-2"),
        (Kind.CLAIM, "digits-cache-1"),
    }


async def test_forbidden_and_invalid_are_distinguished(
    control_plane: ControlPlane, cluster: HttpCluster, namespace: str
) -> None:
    """The reconciler reports the former as Forbidden and the latter as InvalidSpec."""
    nobody = from_kubeconfig(control_plane.client_kubeconfig("nobody"))
    async with ApiClient(nobody) as client:
        with pytest.raises(DeniedError, match="cannot patch resource"):
            await HttpCluster(client, instance="x").create(a_service(namespace))
    with pytest.raises(InvalidObjectError, match="type"):
        await cluster.create(a_service(namespace, type="Wrong"))


async def test_a_namespace_that_is_being_deleted_is_no_mere_refusal(
    client: ApiClient, cluster: HttpCluster, namespace: str, digits: Object
) -> None:
    """A status can still be written in it, but no object can be created."""
    await client.request("DELETE", f"/api/v1/namespaces/{namespace}", kind="Namespace")
    with pytest.raises(TerminatingError, match="being terminated"):
        await cluster.create(a_service(namespace))
    await cluster.write_status(namespace, "digits", digits["metadata"]["uid"], a_status())


async def test_only_the_leader_writes(client: ApiClient, api: Api, namespace: str, digits: Object) -> None:
    """Reading is still possible."""
    cluster = HttpCluster(client, instance="x", time_left=lambda: 0.0)
    uid = digits["metadata"]["uid"]
    with pytest.raises(UnavailableError):
        await cluster.create(a_service(namespace))
    with pytest.raises(UnavailableError):
        await cluster.write_status(namespace, "digits", uid, a_status())
    with pytest.raises(UnavailableError):
        await cluster.delete(Kind.SERVICE, namespace, "digits", uid=uid)
    assert await cluster.get(Kind.SERVICE, namespace, "digits") is None
    assert api.get(model_deployments(namespace))["status"] == {"observedGeneration": -1}


async def test_a_config_map_of_a_user_is_read_by_key(api: Api, cluster: HttpCluster, namespace: str) -> None:
    """Without its binary data; a missing one and an empty one differ."""
    users: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keys"}}
    folder = f"/api/v1/namespaces/{namespace}/configmaps"
    assert await cluster.read_config_map(namespace, "keys") is None
    api.create(folder, {**users, "data": {"jwks.json": '{"keys": []}'}, "binaryData": {"other": "AA=="}})
    assert await cluster.read_config_map(namespace, "keys") == {"jwks.json": '{"keys": []}'}
    api.create(folder, {**users, "metadata": {"name": "empty"}})
    assert await cluster.read_config_map(namespace, "empty") == {}


async def test_only_the_meant_pod_is_annotated(api: Api, cluster: HttpCluster, namespace: str) -> None:
    """A pod with the same name that was created later, and a pod that no longer exists, are skipped."""
    spec = {"containers": [{"name": "a", "image": "example.org/a:1"}], "serviceAccountName": "default"}
    folder = f"/api/v1/namespaces/{namespace}/pods"
    pod = api.create(folder, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
    await cluster.annotate_pod(namespace, "a", "another-uid", {"example.org/a": "1"})
    await cluster.annotate_pod(namespace, "missing", "another-uid", {"example.org/a": "1"})
    assert "annotations" not in api.get(f"{folder}/a")["metadata"]
    await cluster.annotate_pod(namespace, "a", pod["metadata"]["uid"], {"example.org/a": "1"})
    assert api.get(f"{folder}/a")["metadata"]["annotations"] == {"example.org/a": "1"}
