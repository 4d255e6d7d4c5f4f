"""Secrets and ConfigMaps of a fixed name that the ModelDeployments of a namespace share, as last seen.

They are not children: each of these deployments is an owner, and only a part of the content belongs to it. `read`
converts the data to the content, and gets the previous content, so that it need not read unchanged parts again. An
older version never replaces a newer one. Not thread-safe; used from one event loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from triton_operator.api.names import GROUP, KIND, LABEL_PART_OF, MANAGER
from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.projection import identify
from triton_operator.cluster.resource_paths import CHILDREN, Resource
from triton_operator.cluster.stored_objects import Owner, Stored

T = TypeVar("T")


class SharedKind(StrEnum):
    """Kinds of shared objects."""

    SECRET = "Secret"  # noqa: S105 -- a kind
    CONFIG_MAP = "ConfigMap"


SHARED: dict[SharedKind, Resource] = {
    SharedKind.SECRET: Resource("v1", "Secret", "secrets"),
    SharedKind.CONFIG_MAP: CHILDREN[Kind.CONFIG_MAP],
}


@dataclass(frozen=True, slots=True)
class SharedObject(Generic[T]):
    """One object; `owners` are uids of ModelDeployments.

    `is_ours` is false if somebody else has created it, and `is_frozen` is true if somebody has made it immutable.
    """

    namespace: str
    uid: str
    resource_version: int
    content: T
    owners: frozenset[str]
    annotations: Mapping[str, str]
    is_ours: bool
    is_frozen: bool = False


class _SharedMetadata(Stored):
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    owner_references: list[Owner] = msgspec.field(default_factory=list)


class _StoredShared(Stored):
    metadata: _SharedMetadata
    data: dict[str, str] | None = None
    immutable: bool = False


_decode = msgspec.json.Decoder(_StoredShared).decode


class SharedCache(Generic[T]):
    """The object of each namespace."""

    def __init__(self, read: Callable[[Mapping[str, str], T | None], T]) -> None:
        self._read = read
        self._objects: dict[str, SharedObject[T]] = {}
        self._deleted: dict[str, int] = {}

    def get(self, namespace: str) -> SharedObject[T] | None:
        """The object in this namespace."""
        return self._objects.get(namespace)

    def project(self, body: bytes | msgspec.Raw) -> SharedObject[T]:
        """Read an object; each version only once. Raises msgspec.DecodeError."""
        found = identify(body)
        known = self._objects.get(found.namespace)
        if known and (known.uid, known.resource_version) == (found.uid, found.version):
            return known
        stored = decode_any_depth(_decode, bytes(body))
        metadata = stored.metadata
        owners = frozenset(
            owner.uid
            for owner in metadata.owner_references
            if owner.kind == KIND and owner.api_version.startswith(f"{GROUP}/")
        )
        return SharedObject(
            namespace=metadata.namespace,
            uid=metadata.uid,
            resource_version=int(metadata.resource_version),
            content=self._read(stored.data or {}, known.content if known else None),
            owners=owners,
            annotations=metadata.annotations,
            is_ours=metadata.labels.get(LABEL_PART_OF) == MANAGER or bool(owners),
            is_frozen=stored.immutable,
        )

    def put(self, item: SharedObject[T]) -> bool:
        """Add or update an object; returns False for a version that is not newer than what is known."""
        old = self._objects.get(item.namespace)
        known = max(old.resource_version if old else 0, self._deleted.get(item.namespace, 0))
        if item.resource_version <= known:
            return False
        self._objects[item.namespace] = item
        return True

    def remove(self, item: SharedObject[T]) -> bool:
        """Remove a deleted object; returns False if a newer one has replaced it."""
        self._deleted[item.namespace] = max(item.resource_version, self._deleted.get(item.namespace, 0))
        old = self._objects.get(item.namespace)
        if old is None or (old.uid != item.uid and old.resource_version > item.resource_version):
            return False
        del self._objects[item.namespace]
        return True

    def forget(self, namespace: str) -> None:
        """The API server does not have the object, although no watch has reported its deletion."""
        self._objects.pop(namespace, None)

    def missing(
        self, items: Iterable[SharedObject[T]], namespace: str | None, as_of: float = math.inf
    ) -> list[SharedObject[T]]:
        """The known objects that are older than a list (`as_of`) of one or of all namespaces and not in it."""
        listed = {item.namespace for item in items}
        return [
            known
            for known in self._objects.values()
            if namespace in {None, known.namespace}
            and known.namespace not in listed
            and known.resource_version <= as_of
        ]
