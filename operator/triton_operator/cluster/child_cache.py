"""Children as last seen: from lists, watches, and the responses to the operator's writes, by deployment.

An older version never replaces a newer one. Tables are never changed in place, so a table that is the same object has
not changed. Not thread-safe; used from one event loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from triton_operator.cluster.observed import AutoscalerState, Child, ChildId, IngressState, Key, Kind, RouteState

_NO_CHILDREN: Mapping[ChildId, Child] = MappingProxyType({})


class ChildCache:
    """Tables of children by the key of their deployment."""

    def __init__(self) -> None:
        self._tables: dict[Key, Mapping[ChildId, Child]] = {}
        # By uid: a child stays with the deployment that it was created for, even if its labels change.
        self._keys: dict[str, Key] = {}
        # Uids of the Ingresses and routes of each host.
        self._hosts: dict[str, set[str]] = {}
        # Uid and version of children that were deleted since the last pass began.
        self._deleted: dict[Key, dict[str, int]] = {}

    def get(self, key: Key) -> Mapping[ChildId, Child]:
        """Every child of a deployment."""
        return self._tables.get(key, _NO_CHILDREN)

    def with_hosts(self, hosts: Iterable[str]) -> set[Key]:
        """The deployments with an Ingress or route for one of these hosts."""
        return {self._keys[uid] for host in hosts for uid in self._hosts.get(host, ())}

    def begin_pass(self, key: Key) -> None:
        """A pass over the deployment begins, so no response to an earlier write is outstanding."""
        self._deleted.pop(key, None)

    def put(self, child: Child) -> Key | None:
        """Add or update a child; returns the key of its deployment if anything but the version has changed."""
        key = self._key_of(child)
        table = self.get(key)
        old = table.get((child.kind, child.name))
        if old and old.resource_version >= child.resource_version:
            return None  # A late event, of this object or of a deleted one with the same name.
        if child.resource_version <= self._deleted.get(key, {}).get(child.uid, 0):
            return None  # The response to a write, overtaken by the event of the deletion.
        if old:
            self._forget(old)
        self._keys[child.uid] = key
        for host in _hosts(child):
            self._hosts.setdefault(host, set()).add(child.uid)
        self._tables[key] = {**table, (child.kind, child.name): child}
        return None if old and _is_equal(old, child) else key

    def remove(self, child: Child) -> Key | None:
        """Remove a child; returns its key, None if another object has its name or a later response shows it again."""
        key = self._key_of(child)
        self._deleted.setdefault(key, {})[child.uid] = child.resource_version
        cached = self.get(key).get((child.kind, child.name))
        if cached is None or cached.uid != child.uid or cached.resource_version > child.resource_version:
            return None
        return self._remove(key, cached)

    def replace(
        self, kind: Kind, children: Iterable[Child], namespace: str | None, as_of: float = math.inf
    ) -> set[Key]:
        """Take over a whole list of one kind, and remove what is older than the list (`as_of`) and not in it.

        Returns the keys with changes.
        """
        listed = list(children)
        uids = {child.uid for child in listed}
        missing = [
            (key, child)
            for key, table in self._tables.items()
            if namespace in (None, key[0])
            for child in table.values()
            if child.kind is kind and child.uid not in uids and child.resource_version <= as_of
        ]
        keys = {self._remove(key, child) for key, child in missing} | {self.put(child) for child in listed}
        return {key for key in keys if key}

    def _key_of(self, child: Child) -> Key:
        return self._keys.get(child.uid, (child.namespace, child.deployment))

    def _remove(self, key: Key, child: Child) -> Key:
        self._forget(child)
        remaining = dict(self._tables[key])
        del remaining[child.kind, child.name]
        if remaining:
            self._tables[key] = remaining
        else:
            del self._tables[key]
        return key

    def _forget(self, child: Child) -> None:
        self._keys.pop(child.uid, None)
        for host in _hosts(child):
            uids = self._hosts[host]
            uids.discard(child.uid)
            if not uids:
                del self._hosts[host]


def _hosts(child: Child) -> Iterable[str]:
    return set(child.state.hosts) if isinstance(child.state, IngressState | RouteState) else ()


def _is_equal(old: Child, new: Child) -> bool:
    """Whether only the version differs, or what an autoscaler measures: controllers write much that causes no write."""
    state = old.state
    if isinstance(state, AutoscalerState) and isinstance(new.state, AutoscalerState):
        state = msgspec.structs.replace(state, metrics=new.state.metrics)
    # Only the responses to the operator's own writes have no `owned`.
    return msgspec.structs.replace(old, owned=new.owned, resource_version=new.resource_version, state=state) == new
