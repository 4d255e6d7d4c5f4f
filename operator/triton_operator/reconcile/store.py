"""What the operator knows of the cluster, fed by watches and by the answers to its own writes.

`runtime` puts every watched object in and learns which deployment to look at again; the reconciler takes a view of
one deployment out. An older version of an object never replaces a newer one: the answer to our own write may overtake
the watch (resourceVersions are comparable integers since Kubernetes 1.35, KEP-5504).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from triton_operator.api.errors import InvalidSpec
from triton_operator.api.spec import Metadata, ModelDeployment, parse
from triton_operator.api.status import Status
from triton_operator.cluster.observed import Child, Kind, Pod

Key = tuple[str, str]
"""(namespace, name) of a ModelDeployment."""

ChildId = tuple[Kind, str]


class Known(NamedTuple):
    """A ModelDeployment as last seen. `deployment` is the error where its spec cannot be read."""

    metadata: Metadata
    resource_version: int
    deployment: ModelDeployment | InvalidSpec
    status: Status | None


class View(NamedTuple):
    """One deployment with everything that bears its label; `known` is None once it is gone."""

    known: Known | None
    children: dict[ChildId, Child]
    pods: tuple[Pod, ...]


class Store:
    """In-memory tables by deployment; not thread-safe, used from one event loop."""

    def __init__(self) -> None:
        self._known: dict[Key, Known] = {}
        self._children: defaultdict[Key, dict[ChildId, Child]] = defaultdict(dict)
        self._pods: defaultdict[Key, dict[str, Pod]] = defaultdict(dict)
        # By uid: a child stays with the deployment it was made for, whatever happens to its labels.
        self._homes: dict[str, Key] = {}

    def keys(self) -> set[Key]:
        """Every deployment that exists."""
        return set(self._known)

    def view(self, key: Key) -> View:
        """What is known about one deployment right now."""
        return View(
            self._known.get(key),
            dict(self._children.get(key, {})),
            tuple(sorted(self._pods.get(key, {}).values(), key=lambda pod: (pod.created_at, pod.name))),
        )

    def put_deployment(self, body: dict[str, Any]) -> bool:
        """Take in a ModelDeployment; True when there is something to do about it."""
        new = _read(body)
        key = (new.metadata.namespace, new.metadata.name)
        old = self._known.get(key)
        if old and old.metadata.uid == new.metadata.uid and new.resource_version < old.resource_version:
            return False
        self._known[key] = new
        return old is None or _signature(old) != _signature(new)

    def forget_deployment(self, namespace: str, name: str) -> None:
        """The object is gone; its children follow by their own events."""
        self._known.pop((namespace, name), None)

    def remember_status(self, key: Key, uid: str, status: Status, resource_version: int) -> None:
        """Our own status write, so that its echo is no news."""
        known = self._known.get(key)
        if known and known.metadata.uid == uid and known.resource_version < resource_version:
            self._known[key] = known._replace(status=status, resource_version=resource_version)

    def put_child(self, child: Child) -> Key | None:
        """Take in a child; the key of its deployment when it differs from what was known."""
        key = self._homes.setdefault(child.uid, (child.namespace, child.deployment))
        table = self._children[key]
        old = table.get((child.kind, child.name))
        if old and old.resource_version >= child.resource_version:
            return None  # A late event, of this object or of a dead one of the same name.
        table[child.kind, child.name] = child
        return key

    def drop_child(self, child: Child) -> Key | None:
        """A child is gone; its key, unless another object bears the name by now."""
        key = self._homes.pop(child.uid, (child.namespace, child.deployment))
        table = self._children.get(key, {})
        known = table.get((child.kind, child.name))
        if known is None or known.uid != child.uid:
            return None
        del table[child.kind, child.name]
        self._tidy(key)
        return key

    def replace_children(self, kind: Kind, children: Iterable[Child], namespace: str | None) -> set[Key]:
        """Take in a whole list of one kind; children that are not in it are gone."""
        listed = list(children)
        present = {(child.namespace, child.name, child.uid) for child in listed}
        lost = [
            child
            for key, table in self._children.items()
            if namespace in (None, key[0])
            for child in table.values()
            if child.kind is kind and (child.namespace, child.name, child.uid) not in present
        ]
        keys = {self.drop_child(child) for child in lost} | {self.put_child(child) for child in listed}
        return {key for key in keys if key}

    def put_pod(self, pod: Pod) -> Key | None:
        """Take in a pod; the key of its deployment when it is news."""
        key = (pod.namespace, pod.deployment)
        table = self._pods[key]
        old = table.get(pod.uid)
        if old and old.resource_version >= pod.resource_version:
            return None
        table[pod.uid] = pod
        return key

    def drop_pod(self, pod: Pod) -> Key | None:
        """A pod is gone."""
        key = (pod.namespace, pod.deployment)
        dropped = self._pods.get(key, {}).pop(pod.uid, None)
        self._tidy(key)
        return key if dropped else None

    def replace_pods(self, pods: Iterable[Pod], namespace: str | None) -> set[Key]:
        """Take in a whole list of pods; those that are not in it are gone."""
        listed = list(pods)
        present = {pod.uid for pod in listed}
        lost = [
            pod
            for key, table in self._pods.items()
            if namespace in (None, key[0])
            for pod in table.values()
            if pod.uid not in present
        ]
        keys = {self.drop_pod(pod) for pod in lost} | {self.put_pod(pod) for pod in listed}
        return {key for key in keys if key}

    def _tidy(self, key: Key) -> None:
        for tables in (self._children, self._pods):
            if key in tables and not tables[key]:
                del tables[key]


def _read(body: dict[str, Any]) -> Known:
    metadata = msgspec.convert(body["metadata"], Metadata)
    try:
        deployment: ModelDeployment | InvalidSpec = parse(body)
    except InvalidSpec as error:
        deployment = error
    return Known(metadata, int(body["metadata"]["resourceVersion"]), deployment, _read_status(body.get("status")))


def _read_status(status: dict[str, Any] | None) -> Status | None:
    """A status that somebody mangled counts as none: the next pass writes a whole one."""
    if not status:
        return None
    try:
        return msgspec.convert(status, Status)
    except msgspec.ValidationError:
        return None


def _signature(known: Known) -> tuple[object, ...]:
    """What makes an event news. Status is in it, so that a change by another hand is undone."""
    return known.metadata.uid, known.metadata.generation, known.metadata.deletion_timestamp, known.status
