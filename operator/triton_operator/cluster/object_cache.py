"""The operator's in-memory cache of the cluster: ModelDeployments, their children and pods, and all NetworkPolicies.

`runtime` fills it from watches and enqueues the keys that have changed; the reconciler adds the responses to its own
writes and takes snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from triton_operator.api.exposure import exposed_hosts
from triton_operator.api.names import child_labels, selector_labels
from triton_operator.api.network_probe import NetworkProbe
from triton_operator.api.spec import Metadata, ModelDeployment
from triton_operator.cluster.child_cache import ChildCache
from triton_operator.cluster.deployment_cache import DeploymentCache, DeploymentRecord
from triton_operator.cluster.exposure_facts import NO_FACTS, ExposureFacts, find_held_hosts
from triton_operator.cluster.issuer import IssuerCache
from triton_operator.cluster.label_selector import matches
from triton_operator.cluster.observed import Child, ChildId, Key, Kind, Pod
from triton_operator.cluster.pod_cache import PodCache
from triton_operator.cluster.policy_cache import PolicyCache, deployment_of
from triton_operator.cluster.policy_projection import ObservedPolicy
from triton_operator.triton.proxy_contract.policy import Issuer


class Snapshot(NamedTuple):
    """One deployment with every child and pod that has its label; `record` is None if it is deleted.

    `opening_policies` are the NetworkPolicies of others that select its pods and allow traffic, `network_probe` is the
    last run of `tritonctl doctor --probe`, which counts for some time, and `issuer` that of the cluster's
    ServiceAccount tokens, None unless a deployment needs it. As long as a part has not changed, snapshots have an equal
    object there. `exposure` is what prevents `spec.exposure`, `without_keda` why the operator sees no ScaledObject.
    """

    record: DeploymentRecord | None
    children: Mapping[ChildId, Child]
    pods: tuple[Pod, ...]
    opening_policies: tuple[ObservedPolicy, ...] = ()
    network_probe: NetworkProbe | None = None
    probe_counts: bool = False
    issuer: Issuer | None = None
    exposure: ExposureFacts = NO_FACTS
    without_keda: HTTPStatus | None = None

    @property
    def metadata(self) -> Metadata | None:
        """The metadata of the deployment."""
        return self.record.metadata if self.record else None


class ObjectCache:
    """The caches of one operator process."""

    def __init__(self) -> None:
        self.deployments = DeploymentCache()
        self.children = ChildCache()
        self.pods = PodCache()
        self.policies = PolicyCache()
        self.network_probe: NetworkProbe | None = None
        self.issuer = IssuerCache()
        self.unavailable: dict[Kind, HTTPStatus] = {}
        """Optional kinds that could not be listed."""

    def snapshot(self, key: Key, now: datetime) -> Snapshot:
        """The current state of one deployment; `now` decides only whether the probe still counts."""
        return Snapshot(
            self.deployments.get(key),
            self.children.get(key),
            self.pods.get(key),
            tuple(self._opening_policies(key)),
            self.network_probe,
            self.network_probe is not None and self.network_probe.is_valid(now),
            self.issuer.issuer,
            self._exposure_facts(key),
            self.unavailable.get(Kind.SCALED_OBJECT),
        )

    def dependents(self, kind: Kind) -> set[Key]:
        """The deployments that need an optional kind."""
        needs = self._uses_keda if kind is Kind.SCALED_OBJECT else self._exposed_hosts
        return set(filter(needs, self.deployments.keys()))

    def affected_by(self, policy: ObservedPolicy) -> set[Key]:
        """The deployments whose pods a policy of others opens."""
        name = deployment_of(policy)
        namespaced = [(policy.namespace, name)] if name else self.deployments.keys()
        return {key for key in namespaced if key[0] == policy.namespace and self._is_opened_by(policy, key)}

    def _exposure_facts(self, key: Key) -> ExposureFacts:
        hosts = self._exposed_hosts(key)
        if not hosts:
            return NO_FACTS
        rivals = (other for other in self.children.with_hosts(hosts) if other != key and self.deployments.get(other))
        others = ((other[1], self.children.get(other)) for other in rivals)
        held = find_held_hosts(hosts, self.children.get(key), others, key[1])
        return ExposureFacts(held, tuple(sorted(self.unavailable.items())))

    def _exposed_hosts(self, key: Key) -> tuple[str, ...]:
        record = self.deployments.get(key)
        deployment = record.deployment if record else None
        return exposed_hosts(deployment.spec.exposure) if isinstance(deployment, ModelDeployment) else ()

    def _uses_keda(self, key: Key) -> bool:
        record = self.deployments.get(key)
        deployment = record.deployment if record else None
        autoscaling = deployment.spec.autoscaling if isinstance(deployment, ModelDeployment) else None
        return autoscaling is not None and autoscaling.uses_keda

    def _opening_policies(self, key: Key) -> list[ObservedPolicy]:
        found = [policy for policy in self.policies.candidates(key) if self._is_opened_by(policy, key)]
        return sorted(found, key=lambda policy: policy.name)

    def _is_opened_by(self, policy: ObservedPolicy, key: Key) -> bool:
        if not (policy.allows_ingress or policy.allows_egress) or self._is_child(policy, key):
            return False
        # Pods that do not exist yet will have at least these labels.
        future = child_labels(key[1]) | selector_labels(key[1])
        return any(matches(policy.selector, labels) for labels in (future, *(pod.labels for pod in self.pods.get(key))))

    def _is_child(self, policy: ObservedPolicy, key: Key) -> bool:
        """Whether the operator created the policy: its own, or that of a cache Job."""
        record, child = self.deployments.get(key), self.children.get(key).get((Kind.NETWORK_POLICY, policy.name))
        return (
            record is not None
            and child is not None
            and (child.uid, child.owner_uid) == (policy.uid, record.metadata.uid)
        )
