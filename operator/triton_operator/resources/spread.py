"""Spread the replicas of a deployment over nodes and zones, unless the user decides about it.

Pure. Input: a deployment. Output: the scheduling fields of its pods. The preference does not depend on the number of
replicas, so that scaling does not restart pods.

It is a preferred anti-affinity instead of two topologySpreadConstraints with ScheduleAnyway: for those, the scheduler
ignores each node that lacks the label of any of them, so that without labels for zones, replicas would not even be
spread over nodes (kube-scheduler 1.36, podtopologyspread/scoring.go, `requireAllTopologies`).
"""

from __future__ import annotations

import msgspec

from triton_operator.api.names import selector_labels
from triton_operator.api.spec import ModelDeployment, Scheduling, Spec
from triton_operator.resources.metadata import Manifest

SPREAD_OVER = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
"""Labels of nodes; each has the same weight. A node without a label has no penalty for it."""

_WEIGHT = 100
_ON_SEVERAL_NODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})


def spreads_replicas(spec: Spec) -> bool:
    """Whether the operator adds the preference.

    A cache that only one node can mount serves replicas on that node only.
    """
    template = spec.pod_template.spec_without_nulls()
    affinities = (spec.scheduling.affinity or {}, template.get("affinity"))
    on_one_node = spec.cache is not None and _ON_SEVERAL_NODES.isdisjoint(spec.cache.access_modes)
    constrained = spec.scheduling.topology_spread_constraints is not None or "topologySpreadConstraints" in template
    # The template may have any content, because it is checked against the pod that the operator renders.
    separated = any(isinstance(affinity, dict) and "podAntiAffinity" in affinity for affinity in affinities)
    return not (constrained or separated or on_one_node)


def with_spread(deployment: ModelDeployment) -> Scheduling:
    """The scheduling of the serving pods: the user's, with the preference unless the user decides about it."""
    scheduling = deployment.spec.scheduling
    if not spreads_replicas(deployment.spec):
        return scheduling
    terms = [_apart(deployment.metadata.name, label) for label in SPREAD_OVER]
    preference = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
    return msgspec.structs.replace(scheduling, affinity={**(scheduling.affinity or {}), **preference})


def _apart(name: str, topology_key: str) -> Manifest:
    return {
        "weight": _WEIGHT,
        "podAffinityTerm": {
            "topologyKey": topology_key,
            "labelSelector": {"matchLabels": selector_labels(name)},
            # During a rollout, the pods that are about to end do not count.
            "matchLabelKeys": ["pod-template-hash"],
        },
    }
