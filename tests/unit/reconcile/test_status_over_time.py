"""The status during a process: a rollout, a replacement, a failure of one of several replicas."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from tests.builders import NOW, a_pod, ended_server, prepared, serving, unschedulable
from tests.fakes import World
from triton_operator.api.status import ModelState, Truth
from triton_operator.cluster.observed import Container, DeploymentState, Kind, ObservedCondition, Terminated

FULL = 'Usage of EmptyDir volume "models" exceeds the limit "16Mi". '
REFUSED = "failed to load '{}' version 1: Internal: {}\n"


async def _served(**spec: Any) -> World:
    """A deployment whose only pod serves."""
    world = World(**spec)
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    return world


async def _edited(**spec: Any) -> World:
    """The same after the user has changed the spec; its old pod still serves."""
    world = await _served(**spec)
    world.edit(triton={"logLevel": "Info"})
    await world.reconcile()
    return world


async def test_a_single_replica_that_gives_its_gpu_to_its_successor_is_replaced_in_place() -> None:
    world = await _edited(gpu={"count": 1})
    old = a_pod(revision="0123456789", ready=True, deleting=True)
    later = {"pod-template-hash": "b"}
    no_room = (unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),)
    waits = a_pod("digits-2", revision=world.template_hash, node="", containers=(), conditions=no_room, labels=later)
    new = a_pod("digits-2", revision=world.template_hash, containers=(prepared(), serving(ready=False)))
    world.roll_out(a_pod(revision=world.template_hash, ready=True, labels={"pod-template-hash": "a"}), waits)
    await world.reconcile()
    world.now += timedelta(seconds=30)
    await world.reconcile()
    for pods, ready in (((old, waits), "RollingOut"), ((waits,), "InsufficientGPU"), ((new,), "RollingOut")):
        world.roll_out(*pods, ready_replicas=0, available_replicas=0)
        await world.reconcile()
        available = world.condition("Available")
        assert (available.status, available.reason) == (Truth.FALSE, "ReplacingInPlace")
        assert world.condition("Ready").reason == ready
    world.roll_out(msgspec.structs.replace(new, containers=(prepared(), ended_server())))
    await world.reconcile()
    assert world.condition("Available").reason == "Unavailable", "from now on it is a failure"


async def test_a_first_rollout_is_no_replacement() -> None:
    world = World(gpu={"count": 1})
    await world.reconcile()
    assert world.condition("Available").reason == "Unavailable"


async def test_a_crash_of_the_only_replica_is_no_replacement() -> None:
    world = await _served(gpu={"count": 1})
    world.roll_out(a_pod(revision=world.template_hash, containers=(prepared(), serving(ready=False))))
    await world.reconcile()
    assert world.condition("Available").reason == "Unavailable"
    assert world.condition("Ready").reason == "PodsNotReady"


async def test_a_rollout_that_fails_says_that_the_old_replicas_serve() -> None:
    world = await _edited()
    failing = a_pod("digits-2", revision=world.template_hash, containers=(prepared(), ended_server()))
    world.roll_out(a_pod(revision="0123456789", ready=True), failing, updated_replicas=1)
    await world.reconcile()
    assert world.condition("Ready").reason == "Crashed"
    assert world.condition("Ready").message.endswith("; 1 older replica keeps serving")
    assert world.condition("Available").status is Truth.TRUE


async def test_of_two_failures_the_one_that_needs_a_person_is_reported() -> None:
    world = World(replicas=2)
    await world.reconcile()
    waits = a_pod("digits-1", revision=world.template_hash, node="", conditions=(unschedulable("Insufficient cpu."),))
    log = REFUSED.format("digits", "no TorchScript")
    refused = a_pod("digits-2", revision=world.template_hash, containers=(prepared(), ended_server(log)))
    world.roll_out(waits, refused)
    await world.reconcile()
    assert world.condition("Ready").reason == "ModelLoadFailed"
    assert world.condition("Stalled").status is Truth.TRUE


async def test_an_eviction_is_reported_while_its_replacement_comes_up_and_then_no_more() -> None:
    world = World()
    await world.reconcile()
    ended = Container(name="triton", init=False, terminated=Terminated(exit_code=137, reason="Error", finished_at=NOW))
    evicted = a_pod(
        "digits-1", revision=world.template_hash, containers=(ended,), phase="Failed", reason="Evicted", message=FULL
    )
    new = a_pod("digits-2", revision=world.template_hash, containers=(prepared(), serving(ready=False)))
    world.roll_out(evicted, new, current_replicas=1, updated_replicas=1)
    await world.reconcile()
    assert world.condition("Ready").reason == "OutOfSpace"
    assert world.status.last_failure is not None
    assert (world.status.last_failure.reason, world.status.last_failure.time) == ("OutOfSpace", NOW)
    world.pass_time(400)
    await world.reconcile()
    assert world.condition("Ready").reason == "RollingOut"
    assert world.status.last_failure.reason == "OutOfSpace"


async def test_each_model_that_is_rejected_has_its_own_message() -> None:
    world = World(models=[{"name": "digits"}, {"name": "ocr"}, {"name": "fine"}])
    await world.reconcile()
    log = REFUSED.format("ocr", "b") + REFUSED.format("digits", "a")
    ready = prepared("digits", "ocr", "fine")
    world.roll_out(a_pod(revision=world.template_hash, containers=(ready, ended_server(log))))
    await world.reconcile()
    assert [(model.name, model.state, model.message) for model in world.status.models] == [
        ("digits", ModelState.FAILED, "failed to load 'digits' version 1: Internal: a"),
        ("ocr", ModelState.FAILED, "failed to load 'ocr' version 1: Internal: b"),
        ("fine", ModelState.PREPARED, ""),
    ]


async def test_a_model_that_one_replica_serves_is_ready_with_the_failure_of_another() -> None:
    world = World(replicas=2)
    await world.reconcile()
    fine = a_pod("digits-1", revision=world.template_hash, ready=True)
    log = REFUSED.format("digits", "bad luck")
    world.roll_out(fine, a_pod("digits-2", revision=world.template_hash, containers=(prepared(), ended_server(log))))
    await world.reconcile()
    (model,) = world.status.models
    assert model.state is ModelState.READY
    assert "bad luck" in model.message
    assert world.condition("Ready").reason == "ModelLoadFailed"


async def test_a_rollout_past_its_deadline_is_stalled_and_one_that_waits_is_not() -> None:
    """As Flux and kubectl report a Deployment that exceeded its deadline."""
    world = await _edited()
    assert world.condition("Stalled").status is Truth.FALSE
    assert world.condition("Reconciling").status is Truth.TRUE
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    late = ObservedCondition(type="Progressing", status="False", reason="ProgressDeadlineExceeded", message="too late")
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, conditions=(late,)))
    await world.reconcile()
    assert world.condition("Stalled").reason == "ProgressDeadlineExceeded"
    assert world.condition("Reconciling").status is Truth.FALSE
