"""Kubernetes types whose values a ModelDeployment passes through: parts of a PodSpec and of a NetworkPolicy.

The operator passes such values through unchanged, so that a newer cluster may support additional fields. The CLI checks
them against these types, because no API server checks them offline. Fields are those of Kubernetes 1.37 (core/v1,
networking/v1).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from triton_operator.api.struct import Struct

Weight: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=100)]
Operator: TypeAlias = Literal["In", "NotIn", "Exists", "DoesNotExist"]
HonorPolicy: TypeAlias = Literal["Honor", "Ignore"]
_AtLeastOne: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class LabelSelectorRequirement(Struct, frozen=True):
    """A condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


class LabelSelector(Struct, frozen=True):
    """Conditions on labels, all of which must hold."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = None


class NodeSelectorRequirement(Struct, frozen=True):
    """A condition on one label or field of a node."""

    key: str
    operator: Operator | Literal["Gt", "Lt"]
    values: tuple[str, ...] = ()


class NodeSelectorTerm(Struct, frozen=True):
    """Conditions on a node, all of which must hold."""

    match_expressions: tuple[NodeSelectorRequirement, ...] | None = None
    match_fields: tuple[NodeSelectorRequirement, ...] | None = None


class NodeSelector(Struct, frozen=True):
    """Terms on a node, at least one of which must hold."""

    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], msgspec.Meta(min_length=1)]


class PreferredSchedulingTerm(Struct, frozen=True):
    """A preference for nodes, with its weight."""

    weight: Weight
    preference: NodeSelectorTerm


class NodeAffinity(Struct, frozen=True):
    """Which nodes a pod may or should run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] | None = None


class PodAffinityTerm(Struct, frozen=True):
    """Pods to run near, or away from; nodes with the same value of the label `topology_key` are near each other."""

    topology_key: Annotated[str, msgspec.Meta(min_length=1)]
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] | None = None
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] | None = None
    mismatch_label_keys: tuple[str, ...] | None = None


class WeightedPodAffinityTerm(Struct, frozen=True):
    """A preference for a term, with its weight."""

    weight: Weight
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Struct, frozen=True):
    """Which pods to run near; in `podAntiAffinity`, which pods to run away from."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] | None = None


class Affinity(Struct, frozen=True):
    """`spec.scheduling.affinity`."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(Struct, frozen=True):
    """An item of `spec.scheduling.tolerations`."""

    key: str | None = None
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class TopologySpreadConstraint(Struct, frozen=True):
    """An item of `spec.scheduling.topologySpreadConstraints`."""

    max_skew: _AtLeastOne
    topology_key: Annotated[str, msgspec.Meta(min_length=1)]
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    min_domains: _AtLeastOne | None = None
    node_affinity_policy: HonorPolicy | None = None
    node_taints_policy: HonorPolicy | None = None
    match_label_keys: tuple[str, ...] | None = None


class IPBlock(Struct, frozen=True):
    """A range of IP addresses; `except_` excludes parts of it."""

    cidr: str
    except_: tuple[str, ...] | None = msgspec.field(default=None, name="except")


class NetworkPolicyPeer(Struct, frozen=True):
    """An item of `spec.privacy.network.allowFrom` and `metricsFrom`."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


PASSTHROUGH_TYPES: dict[tuple[str, ...], object] = {
    ("scheduling", "affinity"): Affinity,
    ("scheduling", "tolerations"): tuple[Toleration, ...],
    ("scheduling", "topologySpreadConstraints"): tuple[TopologySpreadConstraint, ...],
    ("privacy", "network", "allowFrom"): tuple[NetworkPolicyPeer, ...],
    ("privacy", "network", "metricsFrom"): tuple[NetworkPolicyPeer, ...],
}
"""The type of each such field, by its path in `spec`."""
