"""The operator's memory between passes affects only the number of steps.

Two operators receive the same random events. One keeps its memory and runs only the passes that events and its own
delays request; the other restarts before each pass, and runs passes until nothing changes. Both must end with the same
children and the same status.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import a_pod, ended_server, unschedulable
from tests.fakes import FakeCluster, World
from triton_operator.api.status import Status
from triton_operator.cluster.errors import ClusterError, ConflictError, UnavailableError
from triton_operator.cluster.field_ownership import manifest_digest
from triton_operator.cluster.observed import Child, DeploymentState, Key, Kind, Pod
from triton_operator.cluster.protocol import Manifest
from triton_operator.runtime.event_handlers import ChildHandler, DeploymentHandler, PodHandler
from triton_operator.runtime.work_queue import WorkQueue

MOST_PASSES = 30
STEP_SECONDS = 10.0
QUIET_SECONDS = 600.0

KINDS = [Kind.SERVICE, Kind.NETWORK_POLICY, Kind.DEPLOYMENT, Kind.SERVICE_ACCOUNT, Kind.AUTOSCALER]
SPECS: list[dict[str, Any]] = [
    {"replicas": 1},
    {"replicas": 3},
    {"triton": {"logLevel": "Info"}},
    {"triton": None},
    {"suspend": True},
    {"suspend": None},
    {"autoscaling": {"minReplicas": 2, "maxReplicas": 8}},
    {"autoscaling": None},
    {"triton": {"version": "99.99"}},
    {"service": {"annotations": {"a": "b"}}},
]


class WatchedCluster(FakeCluster):
    """Its children have the digest of owned fields, and one write can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.next_error: ClusterError | None = None

    def _store(self, manifest: Manifest, verb: str, *, uid: str, has_foreign_fields: bool = False) -> Child:
        child = super()._store(manifest, verb, uid=uid, has_foreign_fields=has_foreign_fields)
        child = msgspec.structs.replace(child, owned=manifest_digest(manifest))
        self.objects[child.kind, child.namespace, child.name] = child
        return child

    def _write(self, what: str) -> None:
        error, self.next_error = self.next_error, None
        if error:
            raise error
        super()._write(what)


class Life(World):
    """A ModelDeployment with a work queue; `forgetful` restarts the operator before every pass."""

    def __init__(self, *, forgetful: bool) -> None:
        super().__init__()
        self.forgetful = forgetful
        self.cluster = self.watched = WatchedCluster()
        self.cluster.bodies[self.key] = self.body
        self.cache.deployments.remove(*self.key)
        self.new_operator()
        self.queue: WorkQueue[Key] = WorkQueue()
        self.deployments = DeploymentHandler(self.cache.deployments, self.queue)
        self.child_handlers = {kind: ChildHandler(kind, None, self.cache.children, self.queue) for kind in Kind}
        self.pods = PodHandler(None, self.cache.pods, self.queue)
        self.due = float("inf")
        self.seconds = 0.0
        self.births = 0
        self.report()

    def report(self) -> None:
        """The watch reports the ModelDeployment."""
        body = copy.deepcopy(self.body)
        if not self.deployments.is_known(msgspec.Raw(msgspec.json.encode(body))):
            self.deployments.put(body)

    def change_body(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Another client changes the ModelDeployment."""
        if not self.exists:
            return
        stored = self.cluster.bodies[self.key]
        change(stored)
        stored["metadata"]["resourceVersion"] = str(self.cluster.next_version())
        self.report()

    @property
    def exists(self) -> bool:
        return self.key in self.cluster.bodies

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    def children(self) -> list[Child]:
        return sorted(self.cluster.objects.values(), key=lambda child: (child.kind, child.name))

    def set_child(self, child: Child, **fields: Any) -> None:
        """Another client changes a child, and the watch reports it."""
        changed = msgspec.structs.replace(child, **fields, resource_version=self.cluster.next_version())
        self.cluster.objects[child.kind, child.namespace, child.name] = changed
        self.child_handlers[child.kind].put(changed)

    def delete_child(self, child: Child) -> None:
        """A child is deleted, and the watch reports it."""
        del self.cluster.objects[child.kind, child.namespace, child.name]
        self.child_handlers[child.kind].drop(
            msgspec.structs.replace(child, resource_version=self.cluster.next_version())
        )

    async def work(self) -> None:
        """Run passes until none is due; a forgetful operator, until nothing changes."""
        for _ in range(MOST_PASSES):
            before = (len(self.cluster.writes), self.cache.snapshot(self.key, self.now))
            if self.forgetful:
                self.queue.add(self.key)
            if not len(self.queue):
                return
            if not await self._pass() and self.forgetful and before == self._state():
                return
        raise AssertionError(f"no end after {MOST_PASSES} passes: {self.cluster.writes[-20:]}")

    def _state(self) -> tuple[Any, ...]:
        return len(self.cluster.writes), self.cache.snapshot(self.key, self.now)

    async def _pass(self) -> bool:
        """One pass, and the events of its deletions; returns whether it failed."""
        if self.forgetful:
            self.new_operator()
        key = await self.queue.get()
        self.due = float("inf")
        failed = False
        try:
            delay = await self.reconciler.reconcile(key)
        except ClusterError:
            delay, failed = 0.0, True
        self.queue.done(key)
        self._keep_status()
        for (kind, name), child in self.cache.children.get(key).items():
            if (kind, key[0], name) not in self.cluster.objects:
                gone = msgspec.structs.replace(child, resource_version=self.cluster.next_version())
                self.child_handlers[kind].drop(gone)
        if delay is not None:
            self.due = self.seconds + delay
        if delay == 0.0:
            self.queue.add(key)
        return failed

    def _keep_status(self) -> None:
        """The API server has stored the status, and the watch reports that."""
        record = self.cache.deployments.get(self.key)
        if self.exists and record and record.metadata.uid == self.uid and self.cluster.statuses:
            stored = self.cluster.bodies[self.key]
            if record.resource_version > int(stored["metadata"]["resourceVersion"]):
                stored["metadata"]["resourceVersion"] = str(record.resource_version)
                stored["status"] = msgspec.to_builtins(record.status)
            self.report()

    async def wait(self, seconds: float) -> None:
        """Time passes, and passes that are due run."""
        for _ in range(int(seconds / STEP_SECONDS)):
            self.pass_time(STEP_SECONDS)
            self.seconds += STEP_SECONDS
            if self.due <= self.seconds:
                self.queue.add(self.key)
            await self.work()


Event = Callable[[Life], object]


def edit(fields: dict[str, Any]) -> Event:
    def change(body: dict[str, Any]) -> None:
        spec = {key: value for key, value in (body["spec"] | fields).items() if value is not None}
        body["metadata"]["generation"] += spec != body["spec"]
        body["spec"] = spec

    return lambda life: life.change_body(change)


def annotate(life: Life) -> None:
    life.change_body(lambda body: None)


def break_status(life: Life) -> None:
    life.change_body(lambda body: body.update(status={"observedGeneration": 1}))


def set_deleting(life: Life) -> None:
    life.change_body(lambda body: body["metadata"].update(deletionTimestamp="2026-01-02T03:04:05Z"))


def delete(life: Life) -> None:
    if life.exists:
        body = life.cluster.bodies.pop(life.key)
        body["metadata"]["resourceVersion"] = str(life.cluster.next_version())
        life.deployments.drop(body)


def orphan(life: Life) -> None:
    """Delete with `--cascade=orphan`."""
    for child in life.children():
        if child.owner_uid == life.uid:
            life.set_child(child, owner_uid="")
    delete(life)


def create(life: Life) -> None:
    if not life.exists:
        life.births += 1
        body = copy.deepcopy(life.body)
        body.pop("status", None)
        body["metadata"] |= {"uid": f"birth-{life.births}", "generation": 1}
        body["metadata"]["resourceVersion"] = str(life.cluster.next_version())
        body["metadata"].pop("deletionTimestamp", None)
        life.body = life.cluster.bodies[life.key] = body
        life.report()


def collect_garbage(life: Life) -> None:
    for child in life.children():
        if child.owner_uid and not (life.exists and child.owner_uid == life.uid):
            life.delete_child(child)


def on_child(kind: Kind, change: Callable[[Life, Child], object]) -> Event:
    def run(life: Life) -> None:
        children = [child for child in life.children() if child.kind is kind]
        if children:
            change(life, children[0])

    return run


def drift(life: Life, child: Child) -> None:
    life.set_child(child, fingerprint="drifted", owned="drifted")


def intrude(life: Life, child: Child) -> None:
    life.set_child(child, has_foreign_fields=True, fingerprint="intruded")


def mark_deleting(life: Life, child: Child) -> None:
    life.set_child(child, deleting=True)


def remove(life: Life, child: Child) -> None:
    life.delete_child(child)


def remake(life: Life, child: Child) -> None:
    """Another client deletes and recreates it with the same owner, between two passes."""
    life.delete_child(child)
    life.set_child(child, uid=f"remade-{life.cluster.next_version()}", fingerprint="remade", owned="")


def scale(life: Life, child: Child) -> None:
    if isinstance(child.state, DeploymentState):
        state = msgspec.structs.replace(child.state, replicas=(child.state.replicas + 2) % 5, owns_replicas=False)
        life.set_child(child, state=state)


def roll_out(*, ready: bool) -> Event:
    """Roll out as the Deployment controller and the kubelet do."""

    def run(life: Life, child: Child) -> None:
        if not isinstance(child.state, DeploymentState):
            return
        count = child.state.replicas
        made = life.watched.manifests.get((Kind.DEPLOYMENT, child.namespace, child.name))
        if made is None:
            return
        revision = life.template_hash
        reported = {"current_replicas": count, "updated_replicas": count, "observed_generation": child.state.generation}
        reported |= {"ready_replicas": count * ready, "available_replicas": count * ready}
        life.set_child(child, state=msgspec.structs.replace(child.state, **reported))
        made_pods = [a_pod(f"digits-{number}", revision=revision, ready=ready) for number in range(count)]
        version = life.cluster.next_version()
        pods = [msgspec.structs.replace(pod, resource_version=version) for pod in made_pods]
        life.pods.replace(pods, version)

    return on_child(Kind.DEPLOYMENT, run)


def on_pod(**fields: Any) -> Event:
    def run(life: Life) -> None:
        pods: tuple[Pod, ...] = life.cache.pods.get(life.key)
        if pods:
            life.pods.put(msgspec.structs.replace(pods[0], **fields, resource_version=life.cluster.next_version()))

    return run


def evict(life: Life) -> None:
    """The kubelet evicts a pod, and its replacement starts."""
    pods = life.cache.pods.get(life.key)
    on_pod(phase="Failed", reason="Evicted", message="memory", conditions=(), created_at=f"{life.now:%FT%TZ}")(life)
    if pods:
        name = f"{pods[0].name}-again"
        version = life.cluster.next_version()
        life.pods.put(a_pod(name, revision=pods[0].revision, resource_version=version, uid=f"{name}-{version}"))


def lose_pod(life: Life) -> None:
    for pod in life.cache.pods.get(life.key)[:1]:
        life.pods.drop(msgspec.structs.replace(pod, resource_version=life.cluster.next_version()))


def fail_once(error: ClusterError) -> Event:
    def run(life: Life) -> None:
        life.watched.next_error = error

    return run


EVENTS = st.one_of(
    st.sampled_from(SPECS).map(edit),
    st.sampled_from([annotate, break_status, set_deleting, delete, orphan, create, collect_garbage]),
    st.builds(
        on_child,
        st.sampled_from(KINDS),
        st.sampled_from([drift, intrude, mark_deleting, remove, remake, scale]),
    ),
    st.sampled_from(
        [
            roll_out(ready=True),
            roll_out(ready=False),
            on_pod(containers=(ended_server("failed"),), conditions=()),
            on_pod(conditions=(unschedulable("no room"),), node="", containers=()),
            on_pod(deleting=True),
            evict,
            lose_pod,
        ]
    ),
    st.sampled_from([ConflictError("busy", status=409), UnavailableError("down")]).map(fail_once),
)
PERIODS = st.lists(st.tuples(st.lists(EVENTS, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=12)
"""Events between two passes, and whether time passes after them."""


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(PERIODS)
def test_memory_changes_neither_children_nor_status(periods: list[tuple[list[Event], bool]]) -> None:
    asyncio.run(_compare(periods))


async def _compare(periods: list[tuple[list[Event], bool]]) -> None:
    lives = [Life(forgetful=False), Life(forgetful=True)]
    for life in lives:
        await life.work()
        for events, waits in periods:
            for event in events:
                event(life)
            await life.work()
            if waits:
                await life.wait(STEP_SECONDS * 3)
        life.watched.next_error = None
        collect_garbage(life)
        await life.wait(QUIET_SECONDS)
    remembering, forgetful = map(_end, lives)
    assert remembering == forgetful
    for life in lives:
        await _assert_at_rest(life)


async def _assert_at_rest(life: Life) -> None:
    life.forget_writes()
    life.queue.add(life.key)
    await life.work()
    assert life.cluster.writes == []


def _end(life: Life) -> tuple[Any, Any]:
    """Children without their uids and versions, and the status without times."""
    children = {
        identity: msgspec.structs.replace(child, uid="", resource_version=0)
        for identity, child in life.cluster.objects.items()
    }
    record = life.cache.deployments.get(life.key)
    assert (record is not None) == life.exists
    return children, _without_times(record.status) if record and record.status else None


def _without_times(status: Status) -> Status:
    conditions = [msgspec.structs.replace(each, last_transition_time="") for each in status.conditions]
    return msgspec.structs.replace(status, conditions=tuple(conditions))
