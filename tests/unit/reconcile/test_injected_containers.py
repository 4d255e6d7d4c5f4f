"""Containers and readiness gates that others add to the pods, as webhooks of service meshes and load balancers do."""

from __future__ import annotations

import msgspec
import pytest

from tests.builders import NOW, a_pod, ended_server, prepared, serving
from tests.fakes import World
from triton_operator.api.status import ModelState, Truth
from triton_operator.cluster.observed import Container, ObservedCondition, Terminated
from triton_operator.reconcile.pods import ADDED_BY_OTHERS

_MESSAGE = "cannot reach istiod: x509: certificate has expired"


def _ended(name: str, *, init: bool, message: str = _MESSAGE, exit_code: int = 1, reason: str = "Error") -> Container:
    end = Terminated(exit_code=exit_code, reason=reason, message=message, started_at=NOW, finished_at=NOW)
    return Container(name=name, init=init, waiting_reason="CrashLoopBackOff", last_terminated=end, restarts=3)


async def _with(*containers: Container, conditions: tuple[ObservedCondition, ...] = ()) -> World:
    """The only pod, which is not ready."""
    world = World(privacy={"profile": "Open"})
    await world.reconcile()
    pod = a_pod(revision=world.template_hash, containers=containers, phase="Running")
    # The kubelet gives a reason; a lost node's pod has none.
    unready = ObservedCondition(type="Ready", status="False", reason="ContainersNotReady")
    pod = msgspec.structs.replace(pod, conditions=conditions or (unready,))
    world.roll_out(pod)
    await world.reconcile()
    return world


@pytest.mark.parametrize("init", [True, False], ids=["native sidecar or init container", "sidecar"])
async def test_a_failing_container_of_somebody_else_is_quoted(init: bool) -> None:
    world = await _with(_ended("istio-proxy", init=init), prepared(), serving(ready=False))
    ready = world.condition("Ready")
    assert ready.reason == "Crashed"
    assert f"container istio-proxy, {ADDED_BY_OTHERS}, terminated with exit code 1" in ready.message
    assert _MESSAGE in ready.message


async def test_its_log_is_not_read_as_that_of_triton() -> None:
    message = "failed to load 'digits' version 1: Internal: no"
    world = await _with(_ended("mesh-proxy", init=False, message=message), prepared(), serving())
    assert world.condition("Ready").reason == "Crashed"
    assert world.condition("Stalled").status is Truth.FALSE


async def test_its_lack_of_memory_is_not_that_of_the_spec() -> None:
    world = await _with(_ended("mesh-proxy", init=True, exit_code=137, reason="OOMKilled"), prepared(), serving())
    assert world.condition("Ready").reason == "OutOfMemory"
    assert "spec.resources" not in world.condition("Ready").message


async def test_models_are_loaded_whatever_a_sidecar_does() -> None:
    world = await _with(_ended("mesh-proxy", init=True), prepared(), serving())
    loaded = world.condition("ModelsLoaded")
    assert (loaded.status, loaded.reason) == (Truth.TRUE, "Loaded")
    assert world.status.models[0].state is ModelState.READY
    assert world.condition("Ready").status is Truth.FALSE


async def test_the_end_of_triton_is_reported_before_that_of_a_sidecar() -> None:
    log = "failed to load 'digits' version 1: Internal: no TorchScript\n"
    world = await _with(_ended("mesh-proxy", init=True), prepared(), ended_server(log))
    assert world.condition("Ready").reason == "ModelLoadFailed"
    assert world.condition("ModelsLoaded").reason == "ModelLoadFailed"


async def test_a_sidecar_that_started_again_is_no_failure() -> None:
    back = msgspec.structs.replace(
        _ended("mesh-proxy", init=True), waiting_reason="", running=True, started=True, ready=False
    )
    world = await _with(back, prepared(), serving(ready=False))
    assert world.condition("Ready").reason == "RollingOut"


async def test_an_init_container_that_is_done_is_no_failure() -> None:
    done = Container(name="vault-agent-init", init=True, terminated=Terminated(exit_code=0, finished_at=NOW))
    world = await _with(done, prepared(), serving(ready=False))
    assert world.condition("Ready").reason == "RollingOut"


async def test_an_init_container_that_does_not_end_is_named() -> None:
    waits = Container(name="wait-for-database", init=True, running=True)
    world = await _with(waits)
    assert world.condition("Ready").reason == "RollingOut"
    assert "waits for container wait-for-database" in world.condition("Ready").message


async def test_a_gate_that_is_not_met_is_quoted_with_the_words_of_its_condition() -> None:
    gate = "target-health.elbv2.k8s.aws/k8s-digits"
    message = f'the status of pod readiness gate "{gate}" is not "True", but False'
    world = await _with(
        prepared(),
        serving(),
        conditions=(
            ObservedCondition(type="Ready", status="False", reason="ReadinessGatesNotReady", message=message),
            ObservedCondition(
                type=gate, status="False", reason="Target.FailedHealthChecks", message="Health checks failed"
            ),
        ),
    )
    ready = world.condition("Ready")
    assert ready.reason == "PodsNotReady"
    for words in (message, f"{gate}: Target.FailedHealthChecks: Health checks failed"):
        assert words in ready.message
    assert world.condition("ModelsLoaded").status is Truth.TRUE


async def test_a_sidecar_that_is_not_ready_is_named_in_the_kubelets_words() -> None:
    message = "containers with unready status: [istio-proxy]"
    sidecar = Container(name="istio-proxy", init=True, running=True, started=True)
    unready = ObservedCondition(type="Ready", status="False", reason="ContainersNotReady", message=message)
    world = await _with(sidecar, prepared(), serving(), conditions=(unready,))
    assert world.condition("Ready").reason == "PodsNotReady"
    assert message in world.condition("Ready").message


async def test_models_on_a_lost_node_are_not_loaded() -> None:
    lost = ObservedCondition(type="Ready", status="False")
    world = await _with(prepared(), serving(), conditions=(lost,))
    assert world.condition("Ready").reason == "NodeLost"
    assert world.condition("ModelsLoaded").status is Truth.FALSE
