"""Event handlers for what shows whether policies protect the pods: all NetworkPolicies, and the network probe.

They store what the watches report in the cache, and enqueue the keys of the deployments whose status may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from triton_operator.api.network_probe import NetworkProbe
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key
from triton_operator.cluster.policy_projection import ObservedPolicy
from triton_operator.cluster.probe_projection import ProbeRecord
from triton_operator.runtime.work_queue import WorkQueue


class PolicyHandler:
    """Handles all NetworkPolicies, including those of others, because policies are additive; a reflector calls it."""

    def __init__(self, namespace: str | None, cache: ObjectCache, queue: WorkQueue[Key]) -> None:
        self._namespace = namespace
        self._cache = cache
        self._queue = queue

    def put(self, item: ObservedPolicy) -> None:
        """Handle a new or changed policy: enqueue the deployments that it opened before and those that it opens now."""
        self._enqueue(self._cache.policies.put(item))

    def drop(self, item: ObservedPolicy) -> None:
        """Handle a policy that was deleted."""
        self._enqueue(self._cache.policies.remove(item))

    def replace(self, items: Sequence[ObservedPolicy], as_of: float) -> None:
        """Handle a list of all policies as of version `as_of`."""
        self._queue.add_routine(self._affected(self._cache.policies.replace(items, self._namespace, as_of)))

    def _enqueue(self, changed: Iterable[ObservedPolicy]) -> None:
        for key in self._affected(changed):
            self._queue.add(key)

    def _affected(self, policies: Iterable[ObservedPolicy]) -> set[Key]:
        return set().union(*(self._cache.affected_by(policy) for policy in policies))


class ProbeHandler:
    """Handles the ConfigMap with the result of `tritonctl doctor --probe`; a reflector calls it."""

    def __init__(self, cache: ObjectCache, queue: WorkQueue[Key]) -> None:
        self._cache = cache
        self._queue = queue

    def put(self, item: ProbeRecord) -> None:
        """Handle a new or changed result."""
        self._set(item.probe)

    def drop(self, item: ProbeRecord) -> None:
        """Handle the deletion of the ConfigMap."""
        del item
        self._set(None)

    def replace(self, items: Sequence[ProbeRecord], as_of: float) -> None:
        """Handle a list, which has one ConfigMap at most."""
        del as_of
        self._set(next((item.probe for item in items), None))

    def _set(self, probe: NetworkProbe | None) -> None:
        if probe != self._cache.network_probe:
            self._cache.network_probe = probe
            self._queue.add_routine(self._cache.deployments.keys())
