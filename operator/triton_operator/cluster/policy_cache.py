"""All NetworkPolicies as last seen, by the deployments whose pods they may select.

A policy whose `matchLabels` name a deployment can only select pods of that one; all others may select any pod of their
namespace. An older version never replaces a newer one. Not thread-safe; used from one event loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from triton_operator.api.names import LABEL_DEPLOYMENT
from triton_operator.cluster.observed import Key
from triton_operator.cluster.policy_projection import ObservedPolicy


class PolicyCache:
    """NetworkPolicies by namespace and name of the deployment, "" for those that name none."""

    def __init__(self) -> None:
        self._policies: dict[str, ObservedPolicy] = {}
        self._tables: dict[Key, dict[str, ObservedPolicy]] = {}

    def candidates(self, key: Key) -> list[ObservedPolicy]:
        """The policies that may select pods of a deployment."""
        places = ((key[0], ""), key)
        return [policy for place in places for policy in self._tables.get(place, {}).values()]

    def put(self, policy: ObservedPolicy) -> list[ObservedPolicy]:
        """Add or update a policy; returns its content before and after a change, [] if it has not changed."""
        old = self._policies.get(policy.uid)
        if old and old.resource_version >= policy.resource_version:
            return []
        if old:
            self._discard(old)
        self._policies[policy.uid] = policy
        self._tables.setdefault(_place(policy), {})[policy.uid] = policy
        return [] if old and _is_equal(old, policy) else [*([old] if old else []), policy]

    def remove(self, policy: ObservedPolicy) -> list[ObservedPolicy]:
        """Remove a policy; returns its content before, [] if it is not in the cache."""
        old = self._policies.get(policy.uid)
        if old is None:
            return []
        self._discard(old)
        return [old]

    def replace(
        self, policies: Iterable[ObservedPolicy], namespace: str | None, as_of: float = math.inf
    ) -> list[ObservedPolicy]:
        """Take over a whole list, and remove what is older than the list (`as_of`) and not in it.

        Returns the content of changed policies, before and after.
        """
        listed = list(policies)
        uids = {policy.uid for policy in listed}
        missing = [
            policy
            for policy in self._policies.values()
            if namespace in (None, policy.namespace) and policy.uid not in uids and policy.resource_version <= as_of
        ]
        changes = [*map(self.remove, missing), *map(self.put, listed)]
        return [policy for change in changes for policy in change]

    def _discard(self, policy: ObservedPolicy) -> None:
        del self._policies[policy.uid]
        table = self._tables[_place(policy)]
        del table[policy.uid]
        if not table:
            del self._tables[_place(policy)]


def deployment_of(policy: ObservedPolicy) -> str:
    """Name of the only deployment whose pods it can select; "" if it can select others too."""
    return policy.selector.match_labels.get(LABEL_DEPLOYMENT, "")


def _place(policy: ObservedPolicy) -> Key:
    return policy.namespace, deployment_of(policy)


def _is_equal(old: ObservedPolicy, new: ObservedPolicy) -> bool:
    """Whether only the version differs."""
    return msgspec.structs.replace(old, resource_version=new.resource_version) == new
