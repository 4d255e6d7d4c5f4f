"""Stores whether an optional kind can be used, and enqueues the deployments that need to know."""

from __future__ import annotations

from http import HTTPStatus

from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key, Kind
from triton_operator.runtime.work_queue import WorkQueue


class KindHandler:
    """Handles the attempts to list one kind; an OptionalReflector calls it."""

    def __init__(self, kind: Kind, cache: ObjectCache, queue: WorkQueue[Key]) -> None:
        self._kind = kind
        self._cache = cache
        self._queue = queue

    def __call__(self, status: HTTPStatus | None) -> None:
        """Handle the status of a failed attempt, None after a successful one."""
        if self._cache.unavailable.get(self._kind) is status:
            return
        if status is None:
            del self._cache.unavailable[self._kind]
        else:
            self._cache.unavailable[self._kind] = status
        self._queue.add_routine(self._cache.dependents(self._kind))
