"""Which event wakes which key: watches and lists go into the store, keys of interest into the queue.

Two sources tell about ModelDeployments, Kopf's watch and our own lists, and they race: a list may be older than what
the watch has brought meanwhile, and the end of an old object may arrive after the birth of its namesake. So what is
older than what we know changes nothing here, be it about an object that exists or about one that is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import orjson

from triton_operator.api.names import KIND
from triton_operator.cluster.child_cache import ChildCache
from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.cluster.observed import Child, Key, Kind, Pod
from triton_operator.cluster.pod_cache import PodCache
from triton_operator.cluster.projection import identify
from triton_operator.cluster.stored_objects import Identity
from triton_operator.cluster.unreadable import report_unreadable
from triton_operator.runtime.work_queue import WorkQueue

log = logging.getLogger(__name__)

Body = dict[str, Any]


class DeploymentIntake:
    """ModelDeployments from both sources."""

    def __init__(
        self, cache: DeploymentCache, queue: WorkQueue[Key], unreadable: Callable[[str], None] = lambda _kind: None
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._unreadable = unreadable
        self._seen: dict[Key, tuple[str, int]] = {}
        self._gone: dict[Key, int] = {}
        """Keys that have no object since a version: a list written before it may come in after it."""
        self._listed = 0
        self.reached = 0
        """The newest version that anything told of; a list that is asked for now cannot be older."""

    def put(self, body: Body) -> None:
        """An object as a watch or a list shows it."""
        key, uid, version = _identity(body)
        if self._is_old(key, version):
            return
        is_first = key not in self._seen
        is_news = self._cache.put(body)
        self._see(key, uid, version)  # not before the content was taken in
        if is_news and is_first and _was_observed(body):
            self._queue.add_routine([key])
        elif is_news:
            self._queue.add(key)

    def drop(self, body: Body) -> None:
        """A watch says that this object is gone."""
        key, uid, version = _identity(body)
        self.reached = max(self.reached, version)
        if self._seen.get(key, (uid, 0))[0] == uid:
            self._forget(key, version)

    def is_known(self, item: msgspec.Raw) -> bool:
        """Whether an object as a watch or a list shows it is no news: it was read before, or our own write made it so.

        Raises what `identify` raises.
        """
        found = identify(item)
        key = (found.namespace, found.name)
        if self._is_old(key, found.version):
            return True
        if not self._cache.has(key, found.uid, found.version):
            return False
        self._see(key, found.uid, found.version)
        return True

    def begin_list(self) -> int:
        """Before a list is asked for; what was reached, which only a list of restored data can be older than."""
        for key in self._seen.keys() - self._cache.keys():
            del self._seen[key]  # The API server knew no such object when its status was written.
        return self.reached

    def read(self, item: msgspec.Raw) -> Identity | None:
        """Take in an object of a list; who it is, or None where not even that can be read.

        Of most of them there is no news, so only who they are is decoded.
        """
        try:
            found = identify(item)
            if not self._is_old((found.namespace, found.name), found.version):
                self.put(orjson.loads(project_deployment(item)))
        except Exception as error:  # noqa: BLE001 - one object must not stand in the way of all others
            self.leave_out(item, error)
            return None
        return found

    def leave_out(self, item: bytes | msgspec.Raw, error: Exception) -> None:
        """An object that cannot be read: it is logged and counted."""
        report_unreadable(KIND, item, error)
        self._unreadable(KIND)

    def listed(self, found: Iterable[Identity], version: int, *, reached: int = 0) -> bool:
        """All objects as of `version`, read before: those that we knew before it and that are missing now are gone.

        `reached` is what `begin_list` returned. A list that is older shows data restored from a backup: nothing that
        was known counts any more, and False asks for another list.
        """
        if version < reached:
            self._start_anew(version)
            return False
        present = {(each.namespace, each.name) for each in found}
        for key in [key for key, (_, seen) in self._seen.items() if key not in present and seen <= version]:
            self._forget(key, version)
        self._gone = {key: gone for key, gone in self._gone.items() if gone > self._listed}
        self.reached = max(self.reached, version)
        self._listed = version  # one list back, because Kopf's own list may still be under way
        return True

    def _see(self, key: Key, uid: str, version: int) -> None:
        self._seen[key] = (uid, version)
        self.reached = max(self.reached, version)

    def _is_old(self, key: Key, version: int) -> bool:
        known = self._seen.get(key)
        return version <= (known[1] if known else self._gone.get(key, 0))

    def _start_anew(self, version: int) -> None:
        log.warning("the API server's data are older than what was seen (a restored backup?); all is read anew")
        known = self._cache.keys()
        for key in known:
            self._cache.remove(*key)
            self._queue.add(key)
        self._seen, self._gone = {}, {}
        self._listed = self.reached = version

    def _forget(self, key: Key, version: int) -> None:
        self._seen.pop(key, None)
        self._gone[key] = version
        self._cache.remove(*key)
        self._queue.add(key)  # the reconciler forgets it too


class ChildIntake:
    """Children of one kind; a reflector's sink."""

    def __init__(self, kind: Kind, namespace: str | None, cache: ChildCache, queue: WorkQueue[Key]) -> None:
        self._kind = kind
        self._namespace = namespace
        self._cache = cache
        self._queue = queue

    def put(self, item: Child) -> None:
        """A child is new or changed."""
        _wake(self._queue, self._cache.put(item))

    def drop(self, item: Child) -> None:
        """A child is gone, or lost our label."""
        _wake(self._queue, self._cache.remove(item))

    def replace(self, items: Sequence[Child], as_of: float) -> None:
        """These were all children of this kind at version `as_of`."""
        self._queue.add_routine(self._cache.replace(self._kind, items, self._namespace, as_of))


class PodIntake:
    """Serving pods; a reflector's sink."""

    def __init__(self, namespace: str | None, cache: PodCache, queue: WorkQueue[Key]) -> None:
        self._namespace = namespace
        self._cache = cache
        self._queue = queue

    def put(self, item: Pod) -> None:
        """A pod is new or changed."""
        _wake(self._queue, *self._cache.put(item))

    def drop(self, item: Pod) -> None:
        """A pod is gone."""
        _wake(self._queue, self._cache.remove(item))

    def replace(self, items: Sequence[Pod], as_of: float) -> None:
        """These were all pods at version `as_of`."""
        self._queue.add_routine(self._cache.replace(items, self._namespace, as_of))


def _wake(queue: WorkQueue[Key], *keys: Key | None) -> None:
    for key in keys:
        if key is not None:
            queue.add(key)


def _was_observed(body: Body) -> bool:
    """Whether an operator has written a status for what the object says now."""
    status = body.get("status")
    observed = status.get("observedGeneration") if isinstance(status, dict) else None
    return observed is not None and observed == body["metadata"].get("generation")


def _identity(body: Body) -> tuple[Key, str, int]:
    metadata = body["metadata"]
    return (metadata["namespace"], metadata["name"]), metadata["uid"], int(metadata["resourceVersion"])
