"""The condition Ready: every reason, from the state that causes it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import (
    WITHOUT_TLS,
    a_pod,
    ended_prepare,
    ended_server,
    prepared,
    serving,
    unschedulable,
    waiting,
)
from tests.fakes import World
from triton_operator.api import conditions as types
from triton_operator.api.status import ModelState, Truth
from triton_operator.cluster.errors import UnavailableError
from triton_operator.cluster.observed import Container, DeploymentState, Kind, ObservedCondition, PodEvent
from triton_operator.triton.prepare_contract.outcome import PrepareFailed, encode


async def _world(**spec: Any) -> World:
    world = World(**spec)
    await world.reconcile()
    return world


async def _with_pods(world: World, *containers: Container, **pod: Any) -> World:
    world.roll_out(a_pod(revision=world.template_hash, containers=containers, **pod))
    await world.reconcile()
    return world


async def test_a_new_object_is_rolling_out() -> None:
    world = await _world()
    assert (world.condition("Ready").status, world.condition("Ready").reason) == (Truth.FALSE, "RollingOut")
    assert world.condition("Reconciling").status is Truth.TRUE
    assert world.condition("Stalled").status is Truth.FALSE


async def test_all_pods_ready_is_ready_with_every_model() -> None:
    world = await _world()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    ready = world.condition("Ready")
    assert (ready.status, ready.reason, ready.observed_generation) == (Truth.TRUE, "Serving", 1)
    assert world.status.models[0].state is ModelState.READY
    assert world.status.models[0].versions == ("1",)
    assert world.condition("Available").status is Truth.TRUE


async def test_a_new_generation_is_not_ready_until_its_own_pods_are() -> None:
    world = await _world()
    old = a_pod(revision=world.template_hash, ready=True)
    world.roll_out(old)
    await world.reconcile()
    world.edit(triton={"logLevel": "Info"})
    await world.reconcile()
    assert (world.condition("Ready").status, world.condition("Ready").reason) == (Truth.FALSE, "RollingOut")
    assert world.condition("Available").status is Truth.TRUE


async def test_an_old_pod_that_is_left_keeps_ready_false() -> None:
    world = await _world()
    new = a_pod("digits-2", revision=world.template_hash, ready=True)
    old = a_pod("digits-1", revision="0123456789", ready=True)
    world.roll_out(new, old, updated_replicas=1)
    await world.reconcile()
    assert world.condition("Ready").reason == "RollingOut"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", "InsufficientGPU"),
        ("0/1 nodes are available: 1 Insufficient cpu.", "Unschedulable"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "VolumeUnbound"),
        ('0/1 nodes are available: persistentvolumeclaim "models" not found.', "DependencyMissing"),
    ],
)
async def test_the_scheduler_s_sentence_is_reported(message: str, reason: str) -> None:
    world = await _world(gpu={"count": 1})
    await _with_pods(world, node="", conditions=(unschedulable(message),))
    assert world.condition("Ready").reason == reason
    assert message.rstrip(".") in world.condition("Ready").message
    assert "automatically" in world.condition("Ready").message


async def test_a_missing_model_is_named_with_the_path() -> None:
    world = await _world()
    failed = PrepareFailed(reason="ModelNotFound", model="digits", message="/digits is not there; there is: mnist")
    await _with_pods(world, ended_prepare(encode(failed).decode()))
    assert world.condition("Ready").reason == "ModelNotFound"
    assert "mnist" in world.condition("Ready").message
    assert world.condition("Stalled").status is Truth.TRUE
    assert world.status.models[0].state is ModelState.FAILED


async def test_prepare_that_says_nothing_is_reported_with_its_exit_code() -> None:
    world = await _world()
    await _with_pods(world, ended_prepare("Segmentation fault", exit_code=139))
    assert world.condition("Ready").reason == "PrepareFailed"
    assert "139" in world.condition("Ready").message


async def test_a_model_that_triton_cannot_load_is_reported_in_triton_s_words() -> None:
    world = await _world()
    log = (
        "E1122 03:04:05.678901 1 model_lifecycle.cc:642] \"failed to load 'digits' version 1: "
        'Internal: model.pt is not TorchScript"\n'
        "error: creating server: Internal - failed to load all models\n"
    )
    await _with_pods(world, prepared(), ended_server(log))
    assert world.condition("Ready").reason == "ModelLoadFailed"
    assert "model.pt is not TorchScript" in world.condition("Ready").message
    assert world.status.models[0].state is ModelState.FAILED


async def test_a_crash_after_ready_is_reported_with_its_last_lines() -> None:
    world = await _world()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    await _with_pods(world, prepared(), ended_server("model process of 'digits' died: signal 9"))
    assert world.condition("Ready").reason == "Crashed"
    assert "'digits' died: signal 9" in world.condition("Ready").message
    assert world.status.last_failure is not None
    assert world.status.last_failure.reason == "Crashed"


async def test_the_last_failure_is_kept_after_it_is_fixed() -> None:
    world = await _world()
    await _with_pods(world, prepared(), ended_server("Signal (11) received.", exit_code=139))
    world.roll_out(a_pod("digits-2", revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE
    assert world.status.last_failure is not None
    assert world.status.last_failure.exit_code == 139


async def test_a_kill_for_memory_is_out_of_memory() -> None:
    world = await _world()
    await _with_pods(world, prepared(), ended_server(exit_code=137, reason="OOMKilled"))
    assert world.condition("Ready").reason == "OutOfMemory"


async def test_an_end_by_the_startup_probe_is_a_startup_timeout() -> None:
    world = await _world()
    await _with_pods(
        world, prepared(), ended_server(exit_code=0, reason="Completed", started_at="2026-01-02T02:54:05Z")
    )
    assert world.condition("Ready").reason == "StartupTimeout"
    assert "600 s" in world.condition("Ready").message


async def test_an_end_by_the_liveness_probe_is_a_crash() -> None:
    world = await _world()
    await _with_pods(world, prepared(), ended_server(exit_code=0, reason="Completed"))
    assert (world.condition("Ready").reason, "exit code 0" in world.condition("Ready").message) == ("Crashed", True)


async def test_an_evicted_pod_beside_its_replacement_does_not_matter() -> None:
    world = await _world()
    evicted = a_pod("digits-1", revision=world.template_hash, containers=(), phase="Failed", reason="Evicted")
    world.roll_out(
        evicted, a_pod("digits-2", revision=world.template_hash, ready=True), current_replicas=1, updated_replicas=1
    )
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE
    assert world.condition("ModelsLoaded").status is Truth.TRUE


async def test_an_evicted_pod_without_a_replacement_is_reported() -> None:
    world = await _world()
    evicted = a_pod(
        revision=world.template_hash, containers=(), phase="Failed", reason="Evicted", message="disk pressure"
    )
    world.roll_out(evicted)
    await world.reconcile()
    assert "disk pressure" in world.condition("Ready").message


async def test_a_scale_up_by_the_autoscaler_is_no_failure() -> None:
    world = await _world(autoscaling={"maxReplicas": 4})
    first = a_pod(revision=world.template_hash, ready=True)
    world.roll_out(first)
    await world.reconcile()
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, replicas=3))
    world.roll_out(
        first, a_pod("digits-2", revision=world.template_hash, containers=(prepared(), serving(ready=False)))
    )
    await world.reconcile()
    assert world.condition("Ready").reason == "RollingOut"
    assert [reason for _, reason, _ in world.cluster.events] == ["Serving", "RollingOut"]


async def test_the_last_failure_of_prepare_is_reported_as_in_ready() -> None:
    world = await _world()
    failed = PrepareFailed(reason="ModelNotFound", model="digits", message="/digits is not there")
    await _with_pods(world, ended_prepare(encode(failed).decode()))
    assert world.status.last_failure is not None
    assert (world.status.last_failure.reason, world.status.last_failure.message) == (
        "ModelNotFound",
        "model digits: /digits is not there",
    )


async def test_an_old_mount_warning_is_ignored_once_an_image_is_pulled() -> None:
    world = await _world()
    pod = a_pod(revision=world.template_hash, containers=(waiting("ContainerCreating"),))
    world.cluster.pod_event_log[pod.uid] = [
        PodEvent(type="Warning", reason="FailedMount", message="failed to sync configmap cache"),
        PodEvent(type="Normal", reason="Pulling", message='Pulling image "big"'),
    ]
    world.roll_out(pod)
    world.pass_time(30)
    await world.reconcile()
    assert world.condition("Ready").reason == "RollingOut"


async def test_a_rollout_past_its_deadline_says_that_older_pods_serve_only_when_they_do() -> None:
    world = await _world()
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    late = ObservedCondition(type="Progressing", status="False", reason="ProgressDeadlineExceeded", message="too late")
    for serving_replicas in (0, 1):
        changed = msgspec.structs.replace(state, conditions=(late,), available_replicas=serving_replicas)
        world.change_child(Kind.DEPLOYMENT, state=changed)
        await world.reconcile()
        message = world.condition("Ready").message
        assert message.startswith("too late; ")
        assert message.endswith("; 1 older replica keeps serving") == bool(serving_replicas)


async def test_events_that_cannot_be_read_do_not_keep_the_status_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await _world()

    async def refuse(*_: object) -> list[PodEvent]:
        raise UnavailableError("events are in another etcd, which is down")

    monkeypatch.setattr(world.cluster, "pod_events", refuse)
    world.roll_out(a_pod(revision=world.template_hash, containers=(waiting("ContainerCreating"),)))
    world.pass_time(30)
    await world.reconcile()
    assert world.status.replicas == 1


@pytest.mark.parametrize("container", ["prepare", "triton"])
async def test_an_image_that_cannot_be_pulled_is_reported_with_the_registry_s_response(container: str) -> None:
    world = await _world()
    await _with_pods(world, waiting("ImagePullBackOff", 'Back-off pulling image "x:1": not found', name=container))
    assert world.condition("Ready").reason == "ImagePullFailed"
    assert '"x:1"' in world.condition("Ready").message


async def test_a_missing_config_map_is_found_in_the_events_of_a_pod_that_hangs() -> None:
    world = await _world()
    pod = a_pod(revision=world.template_hash, containers=(waiting("ContainerCreating"),))
    world.cluster.pod_event_log[pod.uid] = [
        PodEvent(type="Warning", reason="FailedMount", message='configmap "digits-config" not found')
    ]
    world.roll_out(pod)
    await world.reconcile()
    assert world.condition("Ready").reason == "RollingOut"
    world.pass_time(6)
    await world.reconcile()
    assert world.condition("Ready").reason == "DependencyMissing"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: small', "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "Forbidden"),
        (
            'pods "x-" is forbidden: error looking up service account shop/models: serviceaccount "models" not found',
            "DependencyMissing",
        ),
    ],
)
async def test_a_rejected_pod_is_reported_in_the_api_server_s_words(message: str, reason: str) -> None:
    world = await _world()
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    failure = ObservedCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message=message)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, conditions=(failure,)))
    await world.reconcile()
    assert world.condition("Ready").reason == reason
    assert world.condition("Ready").message.startswith(f"{message}; ")


@pytest.mark.parametrize(("change", "reason"), [({"replicas": 0}, "ScaledToZero"), ({"suspend": True}, "Suspended")])
async def test_what_the_user_stops_is_ready_once_its_last_pod_is_deleted(change: dict[str, Any], reason: str) -> None:
    world = await _world()
    world.edit(**change)
    await world.reconcile()
    ending = a_pod(revision=world.template_hash, ready=True, deleting=True)
    for pods, status, words in (
        ((ending,), Truth.FALSE, "1 replica is still terminating"),
        ((), Truth.TRUE, "to serve again"),
    ):
        world.roll_out(*pods, current_replicas=0, updated_replicas=0, ready_replicas=0, available_replicas=0)
        await world.reconcile()
        ready = world.condition("Ready")
        assert (ready.status, ready.reason) == (status, reason)
        assert words in ready.message
        assert world.condition("Reconciling").status is (Truth.FALSE if status is Truth.TRUE else Truth.TRUE)
        assert world.condition("Available").status is Truth.FALSE
        assert world.condition("Stalled").status is Truth.FALSE


async def test_every_condition_is_there_from_the_first_status_on() -> None:
    exposure = {"ingress": {"host": "digits.example.com", "tls": {}}}
    first = World(privacy={"profile": "Private"}, autoscaling={"maxReplicas": 2}, exposure=exposure)
    await first.reconcile()
    conditions = {condition.type: condition.status for condition in first.status.conditions}
    assert conditions.keys() == {
        value for name, value in vars(types).items() if name.isupper() and isinstance(value, str)
    }
    for kind in ("Scheduled", "ModelsPrepared", "ModelsLoaded"):
        assert conditions[kind] is Truth.UNKNOWN


async def test_a_condition_has_every_field_that_kubernetes_requires() -> None:
    world = await _world()
    for condition in msgspec.to_builtins(world.status)["conditions"]:
        assert {"type", "status", "reason", "message", "lastTransitionTime"} <= condition.keys()


async def test_pods_that_stop_being_ready_without_a_cause_are_reported_as_such() -> None:
    world = await _world()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    await _with_pods(world, prepared(), serving(ready=False))
    assert world.condition("Ready").reason == "PodsNotReady"


async def test_private_without_tls_says_that_it_is_not_enforced() -> None:
    world = await _world(privacy=WITHOUT_TLS)
    privacy = world.condition("PrivacyEnforced")
    assert (privacy.status, privacy.reason) == (Truth.FALSE, "TLSNotConfigured")


async def test_an_image_below_the_security_floor_is_reported_and_a_current_one_is_not() -> None:
    world = await _world()
    assert world.condition("RuntimeVulnerable").status is Truth.TRUE
    world.edit(triton={"version": "26.11"})
    await world.reconcile()
    assert world.condition("RuntimeVulnerable").status is Truth.FALSE


async def test_an_own_image_without_a_version_is_unknown() -> None:
    world = await _world(triton={"image": "example.org/mine:latest"})
    assert world.condition("RuntimeVulnerable").status is Truth.UNKNOWN


async def test_the_transition_time_moves_with_the_status_alone() -> None:
    world = await _world()
    since = world.condition("Ready").last_transition_time
    world.pass_time(60)
    await _with_pods(world, prepared(), ended_server(exit_code=1))
    assert world.condition("Ready").reason == "Crashed"
    assert world.condition("Ready").last_transition_time == since
    world.roll_out(a_pod("digits-2", revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.condition("Ready").last_transition_time != since


async def test_events_are_posted_for_transitions_alone() -> None:
    world = await _world()
    assert world.cluster.events == []
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    await world.reconcile()
    assert [(kind, reason) for kind, reason, _ in world.cluster.events] == [("Normal", "Serving")]
    await _with_pods(world, prepared(), ended_server(exit_code=1))
    assert world.cluster.events[-1][:2] == ("Warning", "Crashed")


async def test_a_pull_secret_that_is_missing_is_named() -> None:
    world = await _world(imagePullSecrets=[{"name": "regcred"}])
    denied = waiting("ImagePullBackOff", "pull access denied, repository does not exist or may require authorization")
    pod = a_pod(revision=world.template_hash, containers=(denied,))
    message = "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed."
    world.cluster.pod_event_log[pod.uid] = [
        PodEvent(type="Warning", reason="FailedToRetrieveImagePullSecret", message=message)
    ]
    world.roll_out(pod)
    world.pass_time(30)
    await world.reconcile()
    ready = world.condition("Ready")
    assert ready.reason == "DependencyMissing"
    assert "in namespace shop: Unable to retrieve some image pull secrets (regcred)" in ready.message
    assert "pull access denied" in ready.message


async def test_replicas_that_somebody_else_adds_are_not_called_a_replacement() -> None:
    world = await _world()
    pod = a_pod(revision=world.template_hash, ready=True)
    world.roll_out(pod)
    await world.reconcile()
    more = a_pod("digits-2", revision=world.template_hash, ready=True)
    world.roll_out(pod, more, a_pod("digits-3", revision=world.template_hash, ready=True))
    await world.reconcile()
    message = world.condition("Ready").message
    assert "the Deployment has 3 replicas" in message
    assert "a program that is not a HorizontalPodAutoscaler scales it" in message
