"""What the operator knows of the cluster, fed by watches and by the answers to its own writes.

`runtime` puts every watched object in and learns which deployment to look at again; the reconciler takes a view of
one deployment out. An older version of an object never replaces a newer one: the answer to our own write may overtake
the watch (resourceVersions are comparable integers since Kubernetes 1.35, KEP-5504).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec

from triton_operator.api.errors import InvalidSpec
from triton_operator.api.spec import Metadata, ModelDeployment, parse
from triton_operator.api.status import Status
from triton_operator.cluster.observed import Child, Kind, Pod

Key = tuple[str, str]
"""(namespace, name) of a ModelDeployment."""

ChildId = tuple[Kind, str]

T = TypeVar("T")


class Known(NamedTuple):
    """A ModelDeployment as last seen. `deployment` is the error where its spec cannot be read."""

    metadata: Metadata
    resource_version: int
    deployment: ModelDeployment | InvalidSpec
    status: Status | None


class View(NamedTuple):
    """One deployment with everything that bears its label; `known` is None once it is gone.

    Nobody changes a table in place: as long as nothing has changed, views have the very same tables.
    """

    known: Known | None
    children: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]


_NO_CHILDREN: Mapping[ChildId, Child] = MappingProxyType({})


class Store:
    """In-memory tables by deployment; not thread-safe, used from one event loop."""

    def __init__(self) -> None:
        self._known: dict[Key, Known] = {}
        self._children: dict[Key, Mapping[ChildId, Child]] = {}
        self._pods: dict[Key, tuple[Pod, ...]] = {}
        # By uid: a child stays with the deployment it was made for, whatever happens to its labels.
        self._homes: dict[str, Key] = {}

    def keys(self) -> set[Key]:
        """Every deployment that exists."""
        return set(self._known)

    def view(self, key: Key) -> View:
        """What is known about one deployment right now; pods in the order in which they were made."""
        return View(self._known.get(key), self._children.get(key, _NO_CHILDREN), self._pods.get(key, ()))

    def put_deployment(self, body: dict[str, Any]) -> bool:
        """Take in a ModelDeployment; True when there is something to do about it."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        old = self._known.get(key)
        if old and old.metadata.uid == metadata["uid"] and int(metadata["resourceVersion"]) <= old.resource_version:
            return False  # Late, or the echo of our own write of its status.
        self._known[key] = new = _read(body)
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
        table = self._children.get(key, _NO_CHILDREN)
        old = table.get((child.kind, child.name))
        if old and old.resource_version >= child.resource_version:
            return None  # A late event, of this object or of a dead one of the same name.
        self._children[key] = {**table, (child.kind, child.name): child}
        return None if _says_the_same(old, child) else key

    def drop_child(self, child: Child) -> Key | None:
        """A child is gone; its key, unless another object bears the name by now."""
        key = self._homes.pop(child.uid, (child.namespace, child.deployment))
        rest = dict(self._children.get(key, {}))
        known = rest.pop((child.kind, child.name), None)
        if known is None or known.uid != child.uid:
            return None
        _put_or_drop(self._children, key, rest)
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
        others, old = _without(self._pods.get(key, ()), pod.uid)
        if old and old.resource_version >= pod.resource_version:
            return None
        self._pods[key] = tuple(sorted((*others, pod), key=lambda pod: (pod.created_at, pod.name)))
        return None if _says_the_same(old, pod) else key

    def drop_pod(self, pod: Pod) -> Key | None:
        """A pod is gone."""
        key = (pod.namespace, pod.deployment)
        others, old = _without(self._pods.get(key, ()), pod.uid)
        if old is None:
            return None
        _put_or_drop(self._pods, key, others)
        return key

    def replace_pods(self, pods: Iterable[Pod], namespace: str | None) -> set[Key]:
        """Take in a whole list of pods; those that are not in it are gone."""
        listed = list(pods)
        present = {pod.uid for pod in listed}
        lost = [
            pod
            for key, table in self._pods.items()
            if namespace in (None, key[0])
            for pod in table
            if pod.uid not in present
        ]
        keys = {self.drop_pod(pod) for pod in lost} | {self.put_pod(pod) for pod in listed}
        return {key for key in keys if key}


def _put_or_drop(tables: dict[Key, T], key: Key, rest: T) -> None:
    """Keep no empty tables: deployments come and go."""
    if rest:
        tables[key] = rest
    else:
        tables.pop(key, None)


def _says_the_same(old: Child | Pod | None, new: Child | Pod) -> bool:
    """Whether only the version is new: controllers write much that nobody here reads."""
    return old is not None and msgspec.structs.replace(old, resource_version=new.resource_version) == new


def _without(pods: tuple[Pod, ...], uid: str) -> tuple[tuple[Pod, ...], Pod | None]:
    """All pods but one, and that one."""
    return tuple(pod for pod in pods if pod.uid != uid), next((pod for pod in pods if pod.uid == uid), None)


def _read(body: dict[str, Any]) -> Known:
    metadata = msgspec.convert(body["metadata"], Metadata)
    deployment: ModelDeployment | InvalidSpec
    if unreadable := body.get("unreadable"):  # Its place was taken by `deployment_projection`.
        deployment = InvalidSpec("InvalidSpec", "spec", unreadable)
    else:
        try:
            deployment = parse(body)
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
