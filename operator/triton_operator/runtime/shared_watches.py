"""The watches of the authority, the serving certificates and the bundles; they start with the first TLS deployment.

Input: events of three kinds of objects, each with a fixed name, for which the operator has permission by that name. A
change enqueues the deployments that it concerns. They are not part of the probes: if they fail, only certificates are
not repaired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from triton_operator.api.names import AUTHORITY_SECRET, CA_CONFIG_MAP, SERVING_SECRET
from triton_operator.certificates.serving_data import ServingData
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.cluster.observed import Key
from triton_operator.cluster.reflector import Reflector
from triton_operator.cluster.shared_objects import SHARED, SharedCache, SharedKind, SharedObject
from triton_operator.reconcile.certificate_caches import IssuerContext
from triton_operator.reconcile.managed_deployments import managed_deployments
from triton_operator.runtime.work_queue import WorkQueue

T = TypeVar("T")
Concerned = Callable[[SharedObject[T] | None, SharedObject[T] | None], Iterable[Key]]
"""The deployments that a change from one state to another concerns; None: the object does not exist."""


@dataclass(frozen=True, slots=True)
class SharedHandler(Generic[T]):
    """Handles the objects of one name in `namespace`, or (None) in all; a reflector calls it."""

    cache: SharedCache[T]
    namespace: str | None
    queue: WorkQueue[Key]
    concerned: Concerned[T]

    def put(self, item: SharedObject[T]) -> None:
        """Handle a new or changed object."""
        old = self.cache.get(item.namespace)
        if self.cache.put(item):
            self._enqueue(old, item)

    def drop(self, item: SharedObject[T]) -> None:
        """Handle a deleted object."""
        if self.cache.remove(item):
            self._enqueue(item, None)

    def replace(self, items: Sequence[SharedObject[T]], as_of: float) -> None:
        """Handle a list of all objects as of version `as_of`."""
        for missing in self.cache.missing(items, self.namespace, as_of):
            self.cache.forget(missing.namespace)
            self._enqueue(missing, None)
        for item in items:
            self.put(item)

    def _enqueue(self, old: SharedObject[T] | None, new: SharedObject[T] | None) -> None:
        for key in self.concerned(old, new):
            self.queue.add(key)


class SharedWatches:
    """The three watches of one process, in `namespace` or (None) in all."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str | None,
        issuer: IssuerContext,
        deployments: DeploymentCache,
        queue: WorkQueue[Key],
    ) -> None:
        self._caches = issuer.caches
        self._deployments = deployments

        def watch(
            kind: SharedKind, name: str, cache: SharedCache[T], where: str | None, concerned: Concerned[T]
        ) -> Reflector[SharedObject[T]]:
            sink = SharedHandler(cache, where, queue, concerned)
            return Reflector(client, SHARED[kind], where, name=name, project=cache.project, sink=sink)

        self._reflectors: list[Reflector[Any]] = [
            watch(SharedKind.SECRET, SERVING_SECRET, self._caches.serving, namespace, self._with_changed_certificates),
            watch(SharedKind.CONFIG_MAP, CA_CONFIG_MAP, self._caches.bundles, namespace, self._of_namespace),
        ]
        if issuer.namespace:
            authorities = self._caches.authorities
            self._reflectors.append(
                watch(SharedKind.SECRET, AUTHORITY_SECRET, authorities, issuer.namespace, self._all)
            )

    async def run(self) -> NoReturn:
        """Watch from the first deployment that needs a certificate, until cancelled."""
        await self._caches.needed.wait()
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())
            for reflector in self._reflectors:
                await reflector.synced.wait()
            self._caches.synced.set()
        raise AssertionError

    def _with_changed_certificates(
        self, old: SharedObject[ServingData] | None, new: SharedObject[ServingData] | None
    ) -> Iterable[Key]:
        """The deployments whose own certificate or owner reference has changed; a write for one leaves others alone."""
        before, after = (each.content.pairs if each else {} for each in (old, new))
        lost = (old.owners if old else frozenset()) - (new.owners if new else frozenset())
        for key in self._of_namespace(old, new):
            record = self._deployments.get(key)
            if before.get(key[1]) != after.get(key[1]) or (record and record.metadata.uid in lost):
                yield key

    def _of_namespace(self, old: SharedObject[Any] | None, new: SharedObject[Any] | None) -> Iterable[Key]:
        changed = new or old
        return self._managed(changed.namespace) if changed else []

    def _all(self, _old: SharedObject[Any] | None, _new: SharedObject[Any] | None) -> Iterable[Key]:
        return self._managed()

    def _managed(self, namespace: str | None = None) -> list[Key]:
        return [deployment.key for deployment in managed_deployments(self._deployments, namespace)]
