"""The strategy Auto: a new pod first, or in place if there is no room for it, until the rollout has finished."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.builders import a_pod, ended_server, prepared, serving, unschedulable
from tests.fakes import World
from triton_operator.api.status import RolloutMethod, Truth
from triton_operator.cluster.observed import DeploymentState, Kind, ObservedCondition, Pod

SURGE = {"maxSurge": 1, "maxUnavailable": 0}
IN_PLACE = {"maxSurge": 0, "maxUnavailable": 1}
NO_GPU = (
    "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) had untolerated taint(s). no new claims to "
    "deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is "
    "not helpful for scheduling."
)
QUOTA = (
    'pods "digits-6d4cf56db6-x7k2p" is forbidden: exceeded quota: team, requested: limits.memory=2Gi,pods=1, used: '
    "limits.memory=2Gi,pods=1, limited: limits.memory=2Gi,pods=1"
)
GPU: dict[str, Any] = {"gpu": {"count": 1}}
RECREATE: dict[str, Any] = {"rollout": {"strategy": "Recreate"}}
LIMITED: dict[str, Any] = {"resources": {"limits": {"memory": "2Gi"}}, "privacy": {"tls": {"mode": "Disabled"}}}


class Rollout:
    """One ready pod per replica, and a spec that the user has changed."""

    def __init__(self, world: World, old: list[Pod]) -> None:
        self.world = world
        self.old = old

    @property
    def strategy(self) -> object:
        return self.world.manifest(Kind.DEPLOYMENT)["spec"]["strategy"]["rollingUpdate"]

    @property
    def waiting(self) -> Pod:
        """The new pod, for which there is no GPU."""
        return self.new(node="", containers=(), conditions=(unschedulable(NO_GPU),))

    def new(self, **fields: Any) -> Pod:
        return a_pod("new", revision=self.world.template_hash, **fields)

    async def report(self, *pods: Pod, **counts: int) -> None:
        self.world.roll_out(*pods, **counts)
        await self.world.reconcile()

    async def report_for_long(self, *pods: Pod, **counts: int) -> None:
        """As long as it takes until the operator stops waiting for room."""
        await self.report(*pods, **counts)
        await self.wait()

    async def wait(self, seconds: float = 30) -> None:
        self.world.now += timedelta(seconds=seconds)
        await self.world.reconcile()

    async def refuse_pods(self, message: str) -> None:
        """The old pods are left, and Kubernetes refuses to create the new one."""
        self.world.roll_out(*self.old, updated_replicas=0)
        state = self.world.child(Kind.DEPLOYMENT).state
        assert isinstance(state, DeploymentState)
        refused = ObservedCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message=message)
        self.world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, conditions=(refused,)))
        await self.world.reconcile()
        await self.wait()


async def a_rollout(change: dict[str, Any] | None = None, **spec: Any) -> Rollout:
    world = World(**spec)
    await world.reconcile()
    names = [f"old-{number}" for number in range(spec.get("replicas", 1))]
    old = [a_pod(name, revision=world.template_hash, ready=True) for name in names]
    world.roll_out(*old)
    await world.reconcile()
    world.edit(**(change or {"triton": {"logLevel": "Info"}}))
    await world.reconcile()
    world.forget_writes()
    return Rollout(world, old)


def ending(pod: Pod) -> Pod:
    return msgspec.structs.replace(pod, deleting=True)


def writes_of_the_deployment(world: World) -> int:
    return world.cluster.writes.count("apply Deployment/digits")


async def test_a_rollout_begins_with_a_new_pod_also_with_gpus() -> None:
    rollout = await a_rollout(**GPU)
    assert rollout.strategy == SURGE
    await rollout.report(*rollout.old, rollout.new(), updated_replicas=1)
    assert rollout.strategy == SURGE
    assert rollout.world.status.rollout
    assert (rollout.world.status.rollout.method, rollout.world.status.rollout.message) == (RolloutMethod.SURGE, "")
    assert "ReplacingInPlace" not in [reason for _, reason, _ in rollout.world.cluster.events]


async def test_without_a_free_gpu_pods_are_replaced_in_place_until_the_rollout_has_finished() -> None:
    rollout = await a_rollout(**GPU)
    world, (old,) = rollout.world, rollout.old
    await rollout.report_for_long(old, rollout.waiting, updated_replicas=1)
    assert rollout.strategy == IN_PLACE
    ready = world.condition("Ready")
    assert ready.reason == "RollingOut", "it is not a failure, because the old pod is about to make room"
    assert ready.message == ("0 of 1 replicas serve the current generation; replacing in place: no free nvidia.com/gpu")
    assert ("Normal", "ReplacingInPlace", "replacing in place: no free nvidia.com/gpu") in world.cluster.events
    starting = rollout.new(containers=(prepared(), serving(ready=False)))
    for pods in ((ending(old), rollout.waiting), (ending(old), starting)):
        await rollout.report(*pods, current_replicas=1, updated_replicas=1, ready_replicas=0, available_replicas=0)
        assert rollout.strategy == IN_PLACE
        assert world.status.rollout
        assert world.status.rollout.message == "replacing in place: no free nvidia.com/gpu", "it is kept"
        assert world.condition("Available").reason == "ReplacingInPlace"
    assert writes_of_the_deployment(world) == 1
    await rollout.report(starting)
    assert rollout.strategy == SURGE
    assert world.status.rollout is None
    assert world.condition("Available").reason == "ReplacingInPlace", "until the new pod serves"
    await rollout.report(rollout.new(ready=True))
    assert world.condition("Ready").status is Truth.TRUE
    assert writes_of_the_deployment(world) == 2
    assert [reason for _, reason, _ in world.cluster.events].count("ReplacingInPlace") == 1


async def test_a_quota_that_fits_exactly_is_no_deadlock() -> None:
    rollout = await a_rollout(**LIMITED)
    await rollout.refuse_pods(QUOTA)
    assert rollout.strategy == IN_PLACE
    message = "replacing in place: no room for limits.memory, pods in the ResourceQuota team"
    assert ("Normal", "ReplacingInPlace", message) in rollout.world.cluster.events
    assert rollout.world.condition("Ready").reason == "RollingOut"
    await rollout.report(ending(rollout.old[0]), current_replicas=0, updated_replicas=0)
    assert rollout.strategy == IN_PLACE
    await rollout.report(rollout.new(ready=True))
    assert rollout.strategy == SURGE


@pytest.mark.parametrize(
    "message",
    [
        "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        "0/1 nodes are available: 1 node(s) were unschedulable.",
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 1 Insufficient cpu.",
    ],
)
async def test_old_pods_stay_if_their_end_would_not_help(message: str) -> None:
    rollout = await a_rollout(**GPU)
    waiting = rollout.new(node="", containers=(), conditions=(unschedulable(message),))
    await rollout.report_for_long(*rollout.old, waiting, updated_replicas=1)
    assert rollout.strategy == SURGE
    assert rollout.world.condition("Available").status is Truth.TRUE


@pytest.mark.parametrize(
    "message",
    [
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
        "0/1 nodes are available: 1 Too many pods.",
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints.",
    ],
)
async def test_other_places_that_old_pods_take_count_as_well(message: str) -> None:
    rollout = await a_rollout()
    waiting = rollout.new(node="", containers=(), conditions=(unschedulable(message),))
    await rollout.report_for_long(*rollout.old, waiting, updated_replicas=1)
    assert rollout.strategy == IN_PLACE


NO_DEVICE = "0/1 nodes are available: 1 cannot allocate all claims. preemption: 0/1 nodes are available: 1 No victims."


def claims(template: str) -> dict[str, Any]:
    claim = {"name": "gpu", "resourceClaimTemplateName": template}
    return {"gpu": {"resourceClaims": [claim]}, "privacy": {"profile": "Open"}}


async def test_devices_of_claims_are_released_by_old_pods_with_the_same_claims() -> None:
    rollout = await a_rollout(**claims("one-gpu"))
    waiting = rollout.new(node="", containers=(), conditions=(unschedulable(NO_DEVICE),))
    await rollout.report_for_long(*rollout.old, waiting, updated_replicas=1)
    assert rollout.strategy == IN_PLACE
    ready = rollout.world.condition("Ready").message
    assert "replacing in place: no free devices for the resource claims" in ready

    changed = await a_rollout(claims("two-gpus"), **claims("one-gpu"))
    waiting = changed.new(node="", containers=(), conditions=(unschedulable(NO_DEVICE),))
    await changed.report_for_long(*changed.old, waiting, updated_replicas=1)
    assert changed.strategy == SURGE
    assert "because the new pods claim other devices" in changed.world.condition("Ready").message


@pytest.mark.parametrize(
    ("change", "message", "why"),
    [
        ({"gpu": {"count": 2}}, NO_GPU, "a new pod needs more nvidia.com/gpu than an old one releases"),
        ({"scheduling": {"nodeSelector": {"gpu": "b"}}}, NO_GPU, "the rules about their nodes have changed"),
        (
            {"triton": {"logLevel": "Info"}},
            "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) were unschedulable.",
            "a node is cordoned, and a stopped pod could not be replaced there before kubectl uncordon",
        ),
    ],
    ids=["more GPUs", "other nodes", "cordoned"],
)
async def test_an_old_pod_whose_place_may_not_suffice_keeps_serving(
    change: dict[str, Any], message: str, why: str
) -> None:
    """Otherwise nothing might serve any more. The status reports what to do."""
    rollout = await a_rollout(change, **GPU)
    waiting = rollout.new(node="", containers=(), conditions=(unschedulable(message),))
    await rollout.report_for_long(*rollout.old, waiting, updated_replicas=1)
    assert rollout.strategy == SURGE
    ready = rollout.world.condition("Ready")
    assert ready.reason == "InsufficientGPU"
    assert "; 1 older replica keeps serving; no free nvidia.com/gpu; old pods are not stopped first" in ready.message
    assert (
        f"because {why}; to stop all old pods first nevertheless, set spec.rollout.strategy to Recreate"
        in ready.message
    )


async def test_a_quota_without_room_for_a_larger_pod_stops_no_old_one() -> None:
    rollout = await a_rollout({"resources": {"limits": {"memory": "3Gi"}}}, **LIMITED)
    await rollout.refuse_pods(QUOTA.replace("requested: limits.memory=2Gi", "requested: limits.memory=3Gi"))
    assert rollout.strategy == SURGE
    assert rollout.world.condition("Ready").reason == "QuotaExceeded"
    assert "a new pod needs more memory than an old one releases" in rollout.world.condition("Ready").message


async def test_a_smaller_pod_takes_the_place_of_a_larger_one() -> None:
    rollout = await a_rollout({"resources": {"limits": {"memory": "1Gi"}}}, **LIMITED)
    await rollout.refuse_pods(QUOTA.replace("requested: limits.memory=2Gi", "requested: limits.memory=1Gi"))
    assert rollout.strategy == IN_PLACE


@pytest.mark.parametrize(
    "message",
    [
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": seccompProfile',
        'pods "a" is forbidden: failed quota: team: must specify limits.cpu for: triton',
    ],
)
async def test_what_forbids_pods_at_all_stops_no_old_one(message: str) -> None:
    rollout = await a_rollout()
    await rollout.refuse_pods(message)
    assert rollout.strategy == SURGE
    assert rollout.world.condition("Ready").reason == "Forbidden"


async def test_new_pods_that_crash_in_place_leave_the_other_old_ones_alone() -> None:
    rollout = await a_rollout(**GPU, replicas=3)
    first, second, third = rollout.old
    await rollout.report_for_long(first, second, third, rollout.waiting, updated_replicas=1)
    crashed = rollout.new(containers=(prepared(), ended_server()))
    await rollout.report(second, third, crashed, updated_replicas=1)
    assert rollout.strategy == IN_PLACE
    assert rollout.world.condition("Ready").reason == "Crashed"
    assert rollout.world.condition("Ready").message.endswith("2 older replicas keep serving")
    assert rollout.world.condition("Available").status is Truth.TRUE


async def test_a_gpu_that_somebody_else_has_taken_in_the_meantime_is_reported() -> None:
    rollout = await a_rollout(**GPU, replicas=2)
    first, second = rollout.old
    await rollout.report_for_long(first, second, rollout.waiting, updated_replicas=1)
    await rollout.report(ending(first), second, rollout.waiting, updated_replicas=1, current_replicas=2)
    assert rollout.world.condition("Ready").reason == "RollingOut"
    await rollout.report(second, rollout.waiting, updated_replicas=1)
    assert rollout.world.condition("Ready").reason == "InsufficientGPU"


async def test_a_change_during_a_rollout_in_place_continues_in_place() -> None:
    rollout = await a_rollout(**GPU, replicas=2)
    await rollout.report_for_long(*rollout.old, rollout.waiting, updated_replicas=1)
    rollout.world.edit(triton={"logLevel": "Error"})
    await rollout.world.reconcile()
    assert rollout.strategy == IN_PLACE


async def test_a_restarted_operator_continues_in_place_without_a_write() -> None:
    rollout = await a_rollout(**GPU, replicas=2)
    await rollout.report_for_long(*rollout.old, rollout.waiting, updated_replicas=1)
    await rollout.report(rollout.old[0], rollout.new(), updated_replicas=1)
    rollout.world.new_operator()
    await rollout.world.reconcile()
    assert rollout.strategy == IN_PLACE
    assert rollout.world.status.rollout
    assert rollout.world.status.rollout.message == "replacing in place: no free nvidia.com/gpu"


async def test_pods_that_are_ending_anyway_are_reason_to_wait() -> None:
    rollout = await a_rollout(**GPU)
    await rollout.report_for_long(ending(rollout.old[0]), rollout.waiting, updated_replicas=1)
    assert rollout.strategy == SURGE
    assert rollout.world.condition("Ready").reason == "RollingOut"


async def test_a_restart_with_kubectl_is_replaced_in_place_as_well() -> None:
    """It changes the template of the Deployment, but not the operator's revision."""
    world = World(**GPU)
    await world.reconcile()
    revision = world.template_hash
    old = a_pod("old", revision=revision, ready=True, labels={"pod-template-hash": "a"})
    conditions = (unschedulable(NO_GPU),)
    new = a_pod("new", revision=revision, node="", conditions=conditions, labels={"pod-template-hash": "b"})
    rollout = Rollout(world, [old])
    await rollout.report_for_long(old, new, updated_replicas=1)
    assert rollout.strategy == IN_PLACE
    await rollout.report(a_pod("new", revision=revision, ready=True, labels={"pod-template-hash": "b"}))
    assert rollout.strategy == SURGE


async def test_a_preference_for_other_nodes_is_no_obstacle() -> None:
    """An old pod of an earlier release may have other preferences; they restrict no node."""
    weighted = [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}
    rollout = await a_rollout({"scheduling": {"affinity": affinity}}, **GPU)
    await rollout.report_for_long(*rollout.old, rollout.waiting, updated_replicas=1)
    assert rollout.strategy == IN_PLACE


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
async def test_a_strategy_of_the_user_does_not_change(strategy: str) -> None:
    rollout = await a_rollout(**GPU, rollout={"strategy": strategy})
    before = rollout.world.manifest(Kind.DEPLOYMENT)["spec"]["strategy"]
    await rollout.report_for_long(*rollout.old, rollout.waiting, updated_replicas=1)
    assert rollout.world.manifest(Kind.DEPLOYMENT)["spec"]["strategy"] == before
    assert writes_of_the_deployment(rollout.world) == 0


async def test_a_paused_rollout_is_reported_and_creates_no_new_pods() -> None:
    rollout = await a_rollout({"triton": {"logLevel": "Info"}, "rollout": {"paused": True}})
    await rollout.report(*rollout.old, updated_replicas=0)
    assert rollout.world.manifest(Kind.DEPLOYMENT)["spec"]["paused"] is True
    ready = rollout.world.condition("Ready")
    assert (ready.status, ready.reason) == (Truth.FALSE, "RolloutPaused")
    assert ready.message == (
        "spec.rollout.paused is set; 0 of 1 replicas serve the current generation; 1 older replica keeps serving; "
        "set it to false to continue the rollout"
    )
    assert rollout.world.condition("Reconciling").status is Truth.FALSE
    rollout.world.edit(rollout={"paused": False})
    await rollout.world.reconcile()
    assert rollout.world.manifest(Kind.DEPLOYMENT)["spec"]["paused"] is False
    await rollout.report(rollout.new(ready=True))
    assert rollout.world.condition("Ready").status is Truth.TRUE


async def test_a_paused_deployment_without_changes_is_ready() -> None:
    rollout = await a_rollout({"rollout": {"paused": True}})
    await rollout.report(*rollout.old)
    ready = rollout.world.condition("Ready")
    assert ready.status is Truth.TRUE
    assert "spec.rollout.paused is set" in ready.message


async def test_an_obstacle_counts_only_after_a_while() -> None:
    """The scheduler may retry, preempt another pod, or have been told of a new node."""
    rollout = await a_rollout(**GPU)
    world = rollout.world
    world.roll_out(*rollout.old, rollout.waiting, updated_replicas=1)
    assert await world.reconcile() == 30, "nothing else would cause the next pass"
    await rollout.wait(29)
    assert rollout.strategy == SURGE
    assert world.condition("Ready").reason == "RollingOut", "it is not a failure yet"
    await rollout.wait(1)
    assert rollout.strategy == IN_PLACE
    assert "Warning" not in [kind for kind, _, _ in world.cluster.events]


async def test_the_time_begins_again_with_another_template_and_after_a_pod_has_ended() -> None:
    rollout = await a_rollout(**GPU, replicas=2)
    world, (first, second) = rollout.world, rollout.old
    await rollout.report(first, second, rollout.waiting, updated_replicas=1)
    world.edit(triton={"logLevel": "Error"})
    await rollout.wait()
    await rollout.report(first, second, rollout.waiting, updated_replicas=1)
    assert rollout.strategy == SURGE
    served = a_pod("served", revision=world.template_hash, ready=True)
    await rollout.report_for_long(ending(first), second, served, rollout.waiting, updated_replicas=2)
    assert rollout.strategy == SURGE, "the ending pod still has its GPU"
    await rollout.report(second, served, rollout.waiting, updated_replicas=2)
    assert rollout.strategy == SURGE
    await rollout.wait()
    assert rollout.strategy == IN_PLACE


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"gpu": {"count": 2}}, "more nvidia.com/gpu"),
        ({"resources": {"requests": {"memory": "64Gi"}}}, "more memory"),
        ({"scheduling": {"nodeSelector": {"gpu": "b"}}}, "the rules about their nodes"),
        ({"modelRepository": {"pvc": {"claimName": "other"}}}, "another volume"),
    ],
    ids=["GPUs", "memory", "nodes", "volume"],
)
async def test_an_edit_in_place_that_needs_another_place_stops_no_further_pod(change: dict[str, Any], why: str) -> None:
    rollout = await a_rollout(**GPU, replicas=2)
    await rollout.report_for_long(*rollout.old, rollout.waiting, updated_replicas=1)
    assert rollout.strategy == IN_PLACE
    rollout.world.edit(**change)
    await rollout.world.reconcile()
    assert rollout.strategy == SURGE
    await rollout.report_for_long(*rollout.old, rollout.waiting, updated_replicas=1)
    assert rollout.strategy == SURGE
    assert why in rollout.world.condition("Ready").message


async def test_a_change_from_recreate_to_auto_begins_with_a_new_pod() -> None:
    rollout = await a_rollout({"rollout": {"strategy": "Auto"}, "triton": {"logLevel": "Info"}}, **RECREATE)
    assert rollout.strategy == SURGE


@pytest.mark.parametrize(
    "message", [NO_GPU, NO_GPU.replace("had untolerated taint(s)", "didn't match PersistentVolume's node affinity")]
)
async def test_a_pod_with_another_claim_may_need_another_node(message: str) -> None:
    claim = {"modelRepository": {"pvc": {"claimName": "b"}}}
    rollout = await a_rollout(claim, **GPU, modelRepository={"pvc": {"claimName": "a"}})
    waiting = rollout.new(node="", containers=(), conditions=(unschedulable(message),))
    await rollout.report_for_long(*rollout.old, waiting, updated_replicas=1)
    assert rollout.strategy == SURGE
    assert "the new pods use another volume" in rollout.world.condition("Ready").message


async def test_an_additional_toleration_is_no_obstacle_but_a_removed_one_is() -> None:
    tolerations = {"scheduling": {"tolerations": [{"key": "a", "operator": "Exists"}]}}
    more = await a_rollout(tolerations, **GPU)
    await more.report_for_long(*more.old, more.waiting, updated_replicas=1)
    assert more.strategy == IN_PLACE
    fewer = await a_rollout({"scheduling": {}}, **GPU, **tolerations)
    await fewer.report_for_long(*fewer.old, fewer.waiting, updated_replicas=1)
    assert fewer.strategy == SURGE


async def test_a_refusal_of_an_earlier_template_does_not_count() -> None:
    rollout = await a_rollout({"resources": {"limits": {"memory": "1Gi"}}}, **LIMITED)
    await rollout.refuse_pods(QUOTA)
    assert rollout.strategy == SURGE
    assert "differ from the spec" in rollout.world.condition("Ready").message


async def test_a_rollout_in_place_that_could_not_finish_does_not_begin() -> None:
    """Kubernetes counts the missing replica as unavailable, and stops no other one."""
    rollout = await a_rollout(**GPU, replicas=2)
    serving_one, pending = rollout.old
    pending = msgspec.structs.replace(pending, node="", containers=(), conditions=(unschedulable(NO_GPU),))
    await rollout.report_for_long(serving_one, pending, rollout.waiting, updated_replicas=1, available_replicas=1)
    assert rollout.strategy == SURGE
    ready = rollout.world.condition("Ready")
    assert ready.reason == "InsufficientGPU"
    assert "another replica has no node either" in ready.message


async def test_a_pod_that_crashes_makes_room_for_its_correction() -> None:
    rollout = await a_rollout(**GPU)
    crashed = a_pod("old-0", revision=rollout.old[0].revision, containers=(prepared(), ended_server()))
    await rollout.report_for_long(crashed, rollout.waiting, updated_replicas=1)
    assert rollout.strategy == IN_PLACE


async def test_a_pause_keeps_the_strategy_and_is_the_reason_while_a_rollout_is_unfinished() -> None:
    paused = await a_rollout(**GPU)
    paused.world.edit(rollout={"paused": True})
    await paused.report_for_long(*paused.old, paused.waiting, updated_replicas=1)
    assert paused.strategy == SURGE
    assert "ReplacingInPlace" not in [reason for _, reason, _ in paused.world.cluster.events]
    begun = await a_rollout(**GPU, replicas=2)
    await begun.report_for_long(*begun.old, begun.waiting, updated_replicas=1)
    begun.world.edit(rollout={"paused": True})
    await begun.report(begun.old[1], begun.new(ready=True), updated_replicas=1)
    assert begun.strategy == IN_PLACE
    assert begun.world.condition("Ready").reason == "RolloutPaused"


async def test_in_place_continues_while_kubernetes_waits_before_it_creates_the_next_pod() -> None:
    """The refusal of the quota is reported only if it lasts."""
    rollout = await a_rollout(**LIMITED)
    await rollout.refuse_pods(QUOTA)
    await rollout.report(ending(rollout.old[0]), current_replicas=0, updated_replicas=0)
    await rollout.report(current_replicas=0, updated_replicas=0)
    assert rollout.strategy == IN_PLACE
    assert rollout.world.condition("Ready").reason == "RollingOut"
    await rollout.wait(120)
    assert rollout.world.condition("Ready").reason == "QuotaExceeded"


async def test_a_pod_outside_every_replica_set_is_no_part_of_a_rollout() -> None:
    world = World()
    await world.reconcile()
    revision = world.template_hash
    served = a_pod("a", revision=revision, ready=True, labels={"pod-template-hash": "x"})
    world.roll_out(served, a_pod("b", revision=revision), current_replicas=1, updated_replicas=1)
    await world.reconcile()
    assert world.status.rollout is None
