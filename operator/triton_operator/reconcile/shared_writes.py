"""Writes an object that the deployments of a namespace share: created once, then patched.

A patch contains only what changes, so that two writes never undo each other, and the uid of the object, so that it
cannot reach another object of the same name. Each deployment is an owner, but none is the controller: the garbage
collector deletes the object after the last one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from triton_operator.api.names import API_VERSION, KIND, LABEL_PART_OF, MANAGER
from triton_operator.cluster.client import decode_response
from triton_operator.cluster.protocol import Cluster
from triton_operator.cluster.shared_objects import SharedCache, SharedKind, SharedObject

log = logging.getLogger(__name__)

T = TypeVar("T")


class SharedWriter(Generic[T]):
    """Writes the objects of one kind and name, and takes the responses into the cache."""

    def __init__(self, cluster: Cluster, kind: SharedKind, name: str, cache: SharedCache[T]) -> None:
        self._cluster = cluster
        self._kind = kind
        self._name = name
        self._cache = cache

    async def write(self, namespace: str, owners: Mapping[str, str], data: Mapping[str, str | None]) -> SharedObject[T]:
        """Add owners (uids by name) and change keys of the data; raises ClusterError."""
        references = [
            {"apiVersion": API_VERSION, "kind": KIND, "name": name, "uid": uid} for name, uid in owners.items()
        ]
        stored = self._cache.get(namespace)
        if stored is None:
            body = await self._cluster.create_shared(self._manifest(namespace, references, data))
        else:
            patch = {"metadata": {"uid": stored.uid, "ownerReferences": references}, "data": data}
            body = await self._cluster.patch_shared(self._kind, namespace, self._name, patch)
        log.info("%s %s %s/%s", "updated" if stored else "created", self._kind, namespace, self._name)
        return self._take(body)

    async def read_again(self, namespace: str) -> None:
        """After a conflict, take over the object as it is."""
        body = await self._cluster.read_shared(self._kind, namespace, self._name)
        if body is None:
            self._cache.forget(namespace)
        else:
            self._take(body)

    def _manifest(
        self, namespace: str, references: list[dict[str, str]], data: Mapping[str, str | None]
    ) -> dict[str, Any]:
        manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": self._kind.value,
            "metadata": {
                "name": self._name,
                "namespace": namespace,
                "labels": {LABEL_PART_OF: MANAGER},
                "ownerReferences": references,
            },
            "data": {key: value for key, value in data.items() if value is not None},
        }
        return manifest | ({"type": "Opaque"} if self._kind is SharedKind.SECRET else {})

    def _take(self, body: bytes) -> SharedObject[T]:
        stored = decode_response(partial(self._cache.project), body)
        self._cache.put(stored)
        return stored
