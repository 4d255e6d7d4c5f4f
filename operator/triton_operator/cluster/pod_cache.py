"""Pods as last seen in lists and watches, by the deployment that their label names at present.

An older version never replaces a newer one. Tuples are never changed in place, so a tuple that is the same object has
not changed. Not thread-safe; used from one event loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from triton_operator.cluster.observed import Key, Pod


class PodCache:
    """Pods by the key of their deployment, in the order of their creation."""

    def __init__(self) -> None:
        self._pods: dict[Key, tuple[Pod, ...]] = {}
        # By uid.
        self._keys: dict[str, Key] = {}

    def get(self, key: Key) -> tuple[Pod, ...]:
        """Every pod of a deployment."""
        return self._pods.get(key, ())

    def put(self, pod: Pod) -> set[Key]:
        """Add or update a pod; returns the keys with changes: two if its label now names a different deployment."""
        old_key, old = self._find(pod)
        if old and old.resource_version >= pod.resource_version:
            return set()
        key = (pod.namespace, pod.deployment)
        if old_key != key:
            self._remove(old_key, pod.uid)
        others = _without(self.get(key), pod.uid)
        self._pods[key] = tuple(sorted((*others, pod), key=lambda pod: (pod.created_at, pod.name)))
        self._keys[pod.uid] = key
        return set() if old and _is_equal(old, pod) else {old_key, key}

    def remove(self, pod: Pod) -> Key | None:
        """Remove a pod, whatever its labels are; returns its key, None if it is not in the cache."""
        key, old = self._find(pod)
        if old is None:
            return None
        self._remove(key, pod.uid)
        return key

    def replace(self, pods: Iterable[Pod], namespace: str | None, as_of: float = math.inf) -> set[Key]:
        """Take over a whole list, and remove what is older than the list (`as_of`) and not in it.

        Returns the keys with changes.
        """
        listed = list(pods)
        uids = {pod.uid for pod in listed}
        missing = [
            pod
            for key, cached in self._pods.items()
            if namespace in (None, key[0])
            for pod in cached
            if pod.uid not in uids and pod.resource_version <= as_of
        ]
        keys = {key for pod in missing if (key := self.remove(pod))}
        return keys.union(*(self.put(pod) for pod in listed))

    def _find(self, pod: Pod) -> tuple[Key, Pod | None]:
        """The key under which the pod is or would be cached, and the cached pod."""
        key = self._keys.get(pod.uid, (pod.namespace, pod.deployment))
        return key, next((cached for cached in self.get(key) if cached.uid == pod.uid), None)

    def _remove(self, key: Key, uid: str) -> None:
        self._keys.pop(uid, None)
        remaining = _without(self.get(key), uid)
        if remaining:
            self._pods[key] = remaining
        else:
            self._pods.pop(key, None)


def _without(pods: tuple[Pod, ...], uid: str) -> tuple[Pod, ...]:
    return tuple(pod for pod in pods if pod.uid != uid)


def _is_equal(old: Pod, new: Pod) -> bool:
    """Whether only the version differs: controllers write much that the operator does not read."""
    return msgspec.structs.replace(old, resource_version=new.resource_version) == new
