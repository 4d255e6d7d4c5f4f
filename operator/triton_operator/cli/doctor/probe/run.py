"""Run the probe: two pods connect, a policy forbids it, and the connections must stop, and resume when it is deleted.

Input: a client and a namespace. Output: a ProbeOutcome; raises ProbeFailedError if the test shows nothing, for example
because the pods cannot connect even without a policy. In any case, everything is deleted again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, Protocol

from triton_operator.cli.doctor.probe.objects import BLOCKED, CLIENT, CONTAINER, LABEL, OPEN, SERVER, ProbeObjects
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.interruptions import uninterruptible
from triton_operator.cli.terminal.progress import step
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, PODS, Resource
from triton_operator.sdk.cluster_objects import LogOptions, Object, ObjectList, Selection
from triton_operator.sdk.errors import SdkError

START_SECONDS = 120.0
"""For pulling the image and starting a pod."""
CHANGE_SECONDS = 30.0
"""For a change of a policy to take effect; network plugins need up to a few seconds."""
_LINES = 3
"""Required number of consecutive attempts with the same result."""
_POLL_SECONDS = 0.5
_POLICIES = CHILDREN[Kind.NETWORK_POLICY]


class ProbeFailedError(CommandFailedError):
    """The test has no result; the message says why."""


class ProbeOutcome(NamedTuple):
    """The nodes of the pods, and whether a policy took effect in each direction."""

    nodes: tuple[str, ...]
    ingress: bool
    egress: bool


class ProbeCluster(Protocol):
    """The part of KubernetesClient that the probe uses."""

    def get(self, resource: Resource, name: str, namespace: str | None = "") -> Object:
        """Return one object."""

    def list(self, selection: Selection) -> ObjectList:
        """Return the selected objects."""

    def create(self, path: str, body: Object) -> Object:
        """Create an object."""

    def delete(self, resource: Resource, name: str, namespace: str | None = "", *, uid: str) -> None:
        """Delete the object with this uid."""

    def log(self, pod: str, container: str, namespace: str, options: LogOptions) -> Iterable[str]:
        """Yield the lines of a log."""


class ProbeRun:
    """One run in one namespace."""

    def __init__(
        self,
        cluster: ProbeCluster,
        namespace: str,
        objects: ProbeObjects,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._objects = objects
        self._clock = clock
        self._pause = pause

    def run(self) -> ProbeOutcome:
        """Run it; raises ProbeFailedError, SdkError."""
        try:
            with step("start two pods that connect to each other"):
                owner, nodes = self._start()
            with step("forbid connections to one of them"):
                ingress = self._is_enforced(SERVER, owner)
            with step("forbid connections of the other one"):
                egress = self._is_enforced(CLIENT, owner)
        finally:
            self._clean_up()
        return ProbeOutcome(nodes, ingress, egress)

    def _start(self) -> tuple[Object, tuple[str, ...]]:
        """Start both pods; returns the server, which owns all other objects, and the nodes."""
        created = self._cluster.create(PODS.path(self._namespace), self._objects.server())
        server = self._running(SERVER)
        client = self._objects.client(server["status"]["podIP"], created)
        self._cluster.create(PODS.path(self._namespace), client)
        nodes = [pod["spec"]["nodeName"] for pod in (server, self._running(CLIENT))]
        if not self._until(OPEN):
            raise ProbeFailedError(
                f"a pod cannot connect to another one in namespace {self._namespace}, although the test has not "
                "created a policy yet; use -n to choose a namespace without NetworkPolicies"
            )
        return created, tuple(dict.fromkeys(nodes))

    def _running(self, role: str) -> Object:
        """The pod of a role when it runs and has an address."""
        name = self._objects.name(role)
        deadline = self._clock() + START_SECONDS
        while True:
            pod = self._cluster.get(PODS, name, self._namespace)
            status = pod.get("status", {})
            if status.get("phase") == "Running" and status.get("podIP"):
                return pod
            if status.get("phase") in {"Failed", "Succeeded"}:
                raise ProbeFailedError(f"pod {name} has ended: {status.get('message') or status.get('reason', '')}")
            if self._clock() > deadline:
                raise ProbeFailedError(f"pod {name} does not start: {_why_waiting(status)}")
            self._pause(_POLL_SECONDS)

    def _is_enforced(self, role: str, owner: Object) -> bool:
        """Whether a policy stops the connections. They must resume without it, or something else stopped them."""
        path = _POLICIES.path(self._namespace)
        policy = self._cluster.create(path, self._objects.policy(role, owner))["metadata"]
        stopped = self._until(BLOCKED)
        self._cluster.delete(_POLICIES, policy["name"], self._namespace, uid=policy["uid"])
        if not self._until(OPEN):
            raise ProbeFailedError(
                f"the connections of pod {self._objects.name(CLIENT)} did not resume after the policy was deleted, "
                "so something else may have stopped them"
            )
        return stopped

    def _until(self, line: str) -> bool:
        """Whether the client's last attempts have this result within CHANGE_SECONDS."""
        deadline = self._clock() + CHANGE_SECONDS
        while True:
            lines = self._cluster.log(self._objects.name(CLIENT), CONTAINER, self._namespace, LogOptions(tail=_LINES))
            if [text.strip() for text in lines] == [line] * _LINES:
                return True
            if self._clock() > deadline:
                return False
            self._pause(_POLL_SECONDS)

    def _clean_up(self) -> None:
        """Delete everything with the ID of this run, also what was created by a request that was interrupted."""
        with uninterruptible(), step("delete the pods and the policies"):
            for resource in (_POLICIES, PODS):
                with suppress(SdkError):  # The pods end after ten minutes; the first one owns the rest.
                    found = self._cluster.list(
                        Selection(resource, self._namespace, labels=f"{LABEL}={self._objects.run}")
                    )
                    for item in found.items:
                        metadata = item["metadata"]
                        self._cluster.delete(resource, metadata["name"], self._namespace, uid=metadata["uid"])


def _why_waiting(status: Object) -> str:
    """The message of a waiting container or of the scheduler."""
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason', '')} {waiting.get('message', '')}".strip()
    messages = [each.get("message", "") for each in status.get("conditions", []) if each.get("status") == "False"]
    return next(filter(None, messages), "it is pending")
