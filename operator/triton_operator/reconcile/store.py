"""What the operator knows of the cluster, fed by watches and by the answers to its own writes.

`runtime` puts every watched object in and learns which deployment to look at again; the reconciler takes a view of
one deployment out. An older version of an object never replaces a newer one: the answer to our own write may overtake
the watch (resourceVersions are comparable integers since Kubernetes 1.35, KEP-5504).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec

from triton_operator.api.errors import InvalidSpecError
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
    deployment: ModelDeployment | InvalidSpecError
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
        # By uid too, but always that of the present label: a pod that was relabelled belongs to nobody, or to another.
        self._pod_homes: dict[str, Key] = {}
        # Uids of children that ended since the last pass began, and at which version.
        self._ended: dict[Key, dict[str, int]] = {}

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
        if self.has_deployment(key, metadata["uid"], _version(body)):
            return False  # Late, or the echo of our own write of its status.
        self._known[key] = new = _read(body, old)
        return old is None or _signature(old) != _signature(new)

    def has_deployment(self, key: Key, uid: str, version: int) -> bool:
        """Whether this version of a ModelDeployment, or a newer one, has been taken in."""
        known = self._known.get(key)
        return known is not None and known.metadata.uid == uid and version <= known.resource_version

    def forget_deployment(self, namespace: str, name: str) -> None:
        """The object is gone; its children follow by their own events."""
        self._known.pop((namespace, name), None)

    def take_answer(self, body: dict[str, Any]) -> None:
        """The whole object in the answer to a write of its status, so that the echo of that write is no news.

        Whole, because the answer may be the first to show another's edit: the event of that edit is older than the
        answer and will be dropped as late. An answer about an object that is gone by now is dropped.
        """
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        known = self._known.get(key)
        if known and known.metadata.uid == metadata["uid"] and known.resource_version < _version(body):
            self._known[key] = _read(body, known)

    def begin(self, key: Key) -> None:
        """A pass over this deployment begins: no answer to an earlier write can come in any more."""
        self._ended.pop(key, None)

    def put_child(self, child: Child) -> Key | None:
        """Take in a child; the key of its deployment when it differs from what was known."""
        key = self._homes.get(child.uid, (child.namespace, child.deployment))
        table = self._children.get(key, _NO_CHILDREN)
        old = table.get((child.kind, child.name))
        if old and old.resource_version >= child.resource_version:
            return None  # A late event, of this object or of a dead one of the same name.
        if child.resource_version <= self._ended.get(key, {}).get(child.uid, 0):
            return None  # The answer to a write, overtaken by the event of the object's end.
        self._homes[child.uid] = key
        if old and old.uid != child.uid:
            self._homes.pop(old.uid, None)
        self._children[key] = {**table, (child.kind, child.name): child}
        return None if _says_the_same(old, child) else key

    def drop_child(self, child: Child) -> Key | None:
        """A child is gone; its key, unless another object bears the name by now, or a later answer shows it again."""
        key = self._homes.get(child.uid, (child.namespace, child.deployment))
        self._ended.setdefault(key, {})[child.uid] = child.resource_version
        known = self._children.get(key, _NO_CHILDREN).get((child.kind, child.name))
        if known is None or known.uid != child.uid or known.resource_version > child.resource_version:
            return None
        return self._remove_child(key, known)

    def replace_children(
        self, kind: Kind, children: Iterable[Child], namespace: str | None, as_of: float = math.inf
    ) -> set[Key]:
        """Take in a whole list of one kind; those that are older than the list (`as_of`) and not in it are gone."""
        listed = list(children)
        present = {child.uid for child in listed}
        lost = [
            (key, child)
            for key, table in self._children.items()
            if namespace in (None, key[0])
            for child in table.values()
            if child.kind is kind and child.uid not in present and child.resource_version <= as_of
        ]
        keys = {self._remove_child(key, child) for key, child in lost} | {self.put_child(child) for child in listed}
        return {key for key in keys if key}

    def _remove_child(self, key: Key, child: Child) -> Key:
        self._homes.pop(child.uid, None)
        rest = dict(self._children[key])
        del rest[child.kind, child.name]
        _put_or_drop(self._children, key, rest)
        return key

    def put_pod(self, pod: Pod) -> set[Key]:
        """Take in a pod; the keys to which it is news: two when its label names another deployment than before."""
        home, old = self._find_pod(pod)
        if old and old.resource_version >= pod.resource_version:
            return set()
        key = (pod.namespace, pod.deployment)
        if _says_the_same(old, pod):
            woken: set[Key] = set()
        else:
            woken = {home, key}
        if home != key:
            self._remove_pod(home, pod.uid)
        others = _without(self._pods.get(key, ()), pod.uid)
        self._pods[key] = tuple(sorted((*others, pod), key=lambda pod: (pod.created_at, pod.name)))
        self._pod_homes[pod.uid] = key
        return woken

    def drop_pod(self, pod: Pod) -> Key | None:
        """A pod is gone, whatever its labels are by now."""
        home, old = self._find_pod(pod)
        if old is None:
            return None
        self._remove_pod(home, pod.uid)
        return home

    def replace_pods(self, pods: Iterable[Pod], namespace: str | None, as_of: float = math.inf) -> set[Key]:
        """Take in a whole list of pods; those that are older than the list (`as_of`) and not in it are gone."""
        listed = list(pods)
        present = {pod.uid for pod in listed}
        lost = [
            pod
            for key, table in self._pods.items()
            if namespace in (None, key[0])
            for pod in table
            if pod.uid not in present and pod.resource_version <= as_of
        ]
        keys = {key for pod in lost if (key := self.drop_pod(pod))}
        return keys.union(*(self.put_pod(pod) for pod in listed))

    def _find_pod(self, pod: Pod) -> tuple[Key, Pod | None]:
        """Where a pod is filed, or would be, and what is known of it."""
        home = self._pod_homes.get(pod.uid, (pod.namespace, pod.deployment))
        return home, next((known for known in self._pods.get(home, ()) if known.uid == pod.uid), None)

    def _remove_pod(self, home: Key, uid: str) -> None:
        self._pod_homes.pop(uid, None)
        _put_or_drop(self._pods, home, _without(self._pods.get(home, ()), uid))


def _put_or_drop(tables: dict[Key, T], key: Key, rest: T) -> None:
    """Keep no empty tables: deployments come and go."""
    if rest:
        tables[key] = rest
    else:
        tables.pop(key, None)


def _says_the_same(old: Child | Pod | None, new: Child | Pod) -> bool:
    """Whether only the version is new: controllers write much that nobody here reads."""
    if old is None:
        return False
    if isinstance(old, Child) and isinstance(new, Child):
        old = msgspec.structs.replace(old, owned=new.owned)  # Only the answers to our own writes lack it.
    return msgspec.structs.replace(old, resource_version=new.resource_version) == new


def _without(pods: tuple[Pod, ...], uid: str) -> tuple[Pod, ...]:
    """All pods but one."""
    return tuple(pod for pod in pods if pod.uid != uid)


def _read(body: dict[str, Any], old: Known | None) -> Known:
    metadata = msgspec.convert(body["metadata"], Metadata)
    deployment: ModelDeployment | InvalidSpecError
    if old and old.metadata == metadata:  # The API server increments the generation with every change of the spec.
        deployment = old.deployment
    elif unreadable := body.get("unreadable"):  # Its place was taken by `deployment_projection`.
        deployment = InvalidSpecError("InvalidSpec", "spec", unreadable)
    else:
        try:
            deployment = parse(body)
        except InvalidSpecError as error:
            deployment = error
    return Known(metadata, _version(body), deployment, _read_status(body.get("status")))


def _version(body: dict[str, Any]) -> int:
    return int(body["metadata"]["resourceVersion"])


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
