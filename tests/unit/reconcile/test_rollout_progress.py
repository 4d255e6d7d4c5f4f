"""Whole rollouts of the strategy Auto against a model of the Deployment controller, the scheduler and the kubelet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import a_pod, unschedulable
from tests.fakes import World
from triton_operator.cluster.observed import Kind, Pod

STEP_SECONDS = 10
ENOUGH_STEPS = 200


@dataclass
class SimulatedPod:
    """`starts_in` and `ends_in` are numbers of steps."""

    name: str
    revision: str
    starts_in: int
    ends_in: int
    placed: bool = False
    ready: bool = False
    deleting: bool = False


@dataclass
class Cluster:
    """`gpus` in total, of which each pod holds one until it has ended."""

    world: World
    replicas: int
    gpus: int
    start_steps: int
    end_steps: int
    pods: list[SimulatedPod] = field(default_factory=list)
    created: int = 0

    @property
    def running(self) -> list[SimulatedPod]:
        return [pod for pod in self.pods if not pod.deleting]

    @property
    def available(self) -> int:
        return sum(pod.ready for pod in self.running)

    def create(self, *, ready: bool = False) -> None:
        self.created += 1
        name, revision = f"digits-{self.created}", self.world.template_hash
        self.pods.append(SimulatedPod(name, revision, self.start_steps, self.end_steps, ready, ready))

    def step(self) -> None:
        """The Deployment controller, the kubelet and the scheduler act once."""
        self._control()
        for pod in self.pods:
            if pod.deleting:
                pod.ends_in -= 1
            elif pod.placed and not pod.ready:
                pod.starts_in -= 1
                pod.ready = pod.starts_in <= 0
        self.pods = [pod for pod in self.pods if not (pod.deleting and (pod.ends_in <= 0 or not pod.placed))]
        for pod in self.running:
            pod.placed = pod.placed or sum(each.placed for each in self.pods) < self.gpus

    def _control(self) -> None:
        """As `reconcileNewReplicaSet` and `reconcileOldReplicaSets` of the controller."""
        strategy = self.world.manifest(Kind.DEPLOYMENT)["spec"]["strategy"]["rollingUpdate"]
        new = [pod for pod in self.running if pod.revision == self.world.template_hash]
        old = [pod for pod in self.running if pod.revision != self.world.template_hash]
        free = min(self.replicas + strategy["maxSurge"] - len(self.running), self.replicas - len(new))
        if free > 0:
            for _ in range(free):
                self.create()
            return
        least = self.replicas - strategy["maxUnavailable"]
        most_stopped = len(self.running) - least - sum(not pod.ready for pod in new)
        unready = [pod for pod in old if not pod.ready][: max(most_stopped, 0)]
        surplus = max(min(most_stopped - len(unready), self.available - least), 0)
        for pod in [*unready, *[pod for pod in old if pod.ready][:surplus]]:
            pod.deleting, pod.ready = True, False

    def observed(self) -> list[Pod]:
        no_gpu = (unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),)
        return [
            a_pod(
                pod.name,
                revision=pod.revision,
                ready=pod.ready,
                deleting=pod.deleting,
                node="node-1" if pod.placed else "",
                conditions=() if pod.placed else no_gpu,
                labels={"pod-template-hash": pod.revision},
            )
            for pod in self.pods
        ]

    async def report(self) -> None:
        current = sum(pod.revision == self.world.template_hash for pod in self.running)
        counts = {"current_replicas": len(self.running), "updated_replicas": current}
        self.world.roll_out(*self.observed(), **counts)
        await self.world.reconcile()
        self.world.now += timedelta(seconds=STEP_SECONDS)


@settings(max_examples=20, deadline=None)
@given(
    replicas=st.integers(1, 3),
    spare=st.integers(0, 2),
    start_steps=st.integers(1, 4),
    end_steps=st.integers(1, 5),
    edits=st.integers(1, 2),
)
def test_a_rollout_that_fits_finishes_and_misses_at_most_one_replica(
    replicas: int, spare: int, start_steps: int, end_steps: int, edits: int
) -> None:
    asyncio.run(_roll_out(replicas, spare, start_steps, end_steps, edits))


async def _roll_out(replicas: int, spare: int, start_steps: int, end_steps: int, edits: int) -> None:
    world = World(replicas=replicas, gpu={"count": 1})
    await world.reconcile()
    cluster = Cluster(world, replicas, replicas + spare, start_steps, end_steps)
    for _ in range(replicas):
        cluster.create(ready=True)
    await cluster.report()
    fewest = replicas
    for edit in range(edits):
        world.edit(triton={"logLevel": ["Info", "Error"][edit]})
        await world.reconcile()
        for _ in range(3 if edit + 1 < edits else ENOUGH_STEPS):
            cluster.step()
            await cluster.report()
            fewest = min(fewest, cluster.available)
            if world.status.rollout is None and cluster.available == replicas:
                break
    assert {pod.revision for pod in cluster.pods} == {world.template_hash}, "the rollout has finished"
    assert cluster.available == replicas
    assert world.condition("Ready").reason == "Serving"
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 1
    assert fewest >= replicas - (0 if spare else 1)
