"""Event handlers: store the objects that watches and lists report in the cache, and enqueue the keys of changed ones.

ModelDeployments have two sources that race, Kopf's watch and the operator's lists: a list may be older than what the
watch has reported meanwhile, and the deletion of an object may arrive after the creation of another one with its name.
The handlers therefore ignore an event that is older than the cached version of the object, or than its deletion.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
import orjson

from triton_operator.api.names import KIND
from triton_operator.cluster.child_cache import ChildCache
from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.cluster.deployment_projection import project_deployment, spec_digest
from triton_operator.cluster.observed import Child, Key, Kind, Pod
from triton_operator.cluster.pod_cache import PodCache
from triton_operator.cluster.projection import identify
from triton_operator.cluster.stored_objects import Identity
from triton_operator.cluster.unreadable import report_unreadable
from triton_operator.runtime.work_queue import WorkQueue

log = logging.getLogger(__name__)

Body = dict[str, Any]


class DeploymentHandler:
    """Handles ModelDeployments from both sources."""

    def __init__(
        self, cache: DeploymentCache, queue: WorkQueue[Key], unreadable: Callable[[str], None] = lambda _kind: None
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._unreadable = unreadable
        self._seen: dict[Key, tuple[str, int]] = {}
        self._gone: dict[Key, int] = {}
        """Keys of deleted objects, and the version of the deletion, because an older list may arrive later."""
        self._listed = 0
        self.reached = 0
        """The newest version seen; a list that is requested now cannot be older."""

    def put(self, body: Body) -> None:
        """Handle an object that a watch or a list reports."""
        key, uid, version = _identity(body)
        if self._is_old(key, uid, version, lambda: body["metadata"].get("specDigest", "")):
            return
        is_first = key not in self._seen
        is_news = self._cache.put(body)
        self._see(key, uid, version)  # only after the cache has the content
        if is_news and is_first and _was_observed(body):
            self._queue.add_routine([key])
        elif is_news:
            self._queue.add(key)

    def drop(self, body: Body) -> None:
        """Handle the deletion of an object that a watch reports."""
        key, uid, version = _identity(body)
        self.reached = max(self.reached, version)
        if self._seen.get(key, (uid, 0))[0] == uid:
            self._forget(key, version)

    def is_known(self, item: msgspec.Raw) -> bool:
        """Whether the cache has this version of an object, from an earlier event or the response to a write.

        Raises what `identify` raises.
        """
        found = identify(item)
        key = (found.namespace, found.name)
        if self._is_old(key, found.uid, found.version, partial(spec_digest, item)):
            return True
        if not self._cache.has(key, found.uid, found.version):
            return False
        if self._cache.has_other_spec(key, found.uid, found.version, spec_digest(item)):
            return False
        self._see(key, found.uid, found.version)
        return True

    def begin_list(self) -> int:
        """Call before a list. Returns the newest version seen; only a list of data restored from a backup is older."""
        for key in self._seen.keys() - self._cache.keys():
            del self._seen[key]  # Deleted: the API server did not find it when its status was written.
        return self.reached

    def read(self, item: msgspec.Raw) -> Identity | None:
        """Handle an object of a list; returns its identity, or None if the object cannot be decoded.

        Most objects have not changed, so only their identity and the digest of their spec are computed.
        """
        try:
            found = identify(item)
            if not self._is_old((found.namespace, found.name), found.uid, found.version, partial(spec_digest, item)):
                self.put(orjson.loads(project_deployment(item)))
        except Exception as error:  # noqa: BLE001 - one object must not block all others
            self.skip(item, error)
            return None
        return found

    def skip(self, item: bytes | msgspec.Raw, error: Exception) -> None:
        """Log and count an object that cannot be decoded."""
        report_unreadable(KIND, item, error)
        self._unreadable(KIND)

    def listed(self, found: Iterable[Identity], version: int, *, reached: int = 0) -> bool:
        """Handle the end of a list as of `version`: objects that are older and not in it are deleted.

        `reached` is the result of `begin_list`. If the list is older, the data was restored from a backup: everything
        cached is obsolete, and the result is False, so that the caller lists again.
        """
        if version < reached:
            self._reset(version)
            return False
        present = {(each.namespace, each.name) for each in found}
        for key in [key for key, (_, seen) in self._seen.items() if key not in present and seen <= version]:
            self._forget(key, version)
        self._gone = {key: gone for key, gone in self._gone.items() if gone > self._listed}
        self.reached = max(self.reached, version)
        self._listed = version  # Earlier deletions are kept until the next one: Kopf's own list may still run.
        return True

    def _see(self, key: Key, uid: str, version: int) -> None:
        self._seen[key] = (uid, version)
        self.reached = max(self.reached, version)

    def _is_old(self, key: Key, uid: str, version: int, digest: Callable[[], str]) -> bool:
        """Whether this version, or a newer one, was handled; `digest` computes that of the spec, if it is needed."""
        known = self._seen.get(key)
        newest = known[1] if known else self._gone.get(key, 0)
        if version < newest:
            return True
        return version == newest and not self._cache.has_other_spec(key, uid, version, digest())

    def _reset(self, version: int) -> None:
        log.warning("the API server's data is older than the cache (restored from a backup?); reading everything again")
        known = self._cache.keys()
        for key in known:
            self._cache.remove(*key)
            self._queue.add(key)
        self._seen, self._gone = {}, {}
        self._listed = self.reached = version

    def _forget(self, key: Key, version: int) -> None:
        self._seen.pop(key, None)
        self._gone[key] = max(version, self._gone.get(key, 0))  # An earlier object's deletion may arrive later.
        self._cache.remove(*key)
        self._queue.add(key)  # so that the reconciler forgets it too


class ChildHandler:
    """Handles children of one kind; a reflector calls it."""

    def __init__(self, kind: Kind, namespace: str | None, cache: ChildCache, queue: WorkQueue[Key]) -> None:
        self._kind = kind
        self._namespace = namespace
        self._cache = cache
        self._queue = queue

    def put(self, item: Child) -> None:
        """Handle a new or changed child."""
        _enqueue(self._queue, self._cache.put(item))

    def drop(self, item: Child) -> None:
        """Handle a child that was deleted or no longer has the operator's label."""
        _enqueue(self._queue, self._cache.remove(item))

    def replace(self, items: Sequence[Child], as_of: float) -> None:
        """Handle a list of all children of this kind as of version `as_of`."""
        self._queue.add_routine(self._cache.replace(self._kind, items, self._namespace, as_of))


class PodHandler:
    """Handles pods; a reflector calls it."""

    def __init__(self, namespace: str | None, cache: PodCache, queue: WorkQueue[Key]) -> None:
        self._namespace = namespace
        self._cache = cache
        self._queue = queue

    def put(self, item: Pod) -> None:
        """Handle a new or changed pod."""
        _enqueue(self._queue, *self._cache.put(item))

    def drop(self, item: Pod) -> None:
        """Handle a pod that was deleted or no longer has the operator's label."""
        _enqueue(self._queue, self._cache.remove(item))

    def replace(self, items: Sequence[Pod], as_of: float) -> None:
        """Handle a list of all pods as of version `as_of`."""
        self._queue.add_routine(self._cache.replace(items, self._namespace, as_of))


def _enqueue(queue: WorkQueue[Key], *keys: Key | None) -> None:
    for key in keys:
        if key is not None:
            queue.add(key)


def _was_observed(body: Body) -> bool:
    """Whether an operator has written a status for the current generation."""
    status = body.get("status")
    observed = status.get("observedGeneration") if isinstance(status, dict) else None
    return observed is not None and observed == body["metadata"].get("generation")


def _identity(body: Body) -> tuple[Key, str, int]:
    metadata = body["metadata"]
    return (metadata["namespace"], metadata["name"]), metadata["uid"], int(metadata["resourceVersion"])
