"""Which autoscaler may exist now: one of the operator, one of KEDA, or none.

Pure. Two autoscalers of one Deployment would set different numbers of replicas, and KEDA rejects a ScaledObject as long
as another autoscaler has the same target. When the provider changes, the new autoscaler is therefore created only after
the old one is deleted; until then, the number of replicas stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from triton_operator.cluster.observed import Child, Kind
from triton_operator.cluster.protocol import Manifest
from triton_operator.reconcile.observed_state import ObservedState

_AUTOSCALERS = frozenset({Kind.AUTOSCALER.value, Kind.SCALED_OBJECT.value})


def choose_autoscaler(observed: ObservedState) -> Kind | None:
    """The kind that may exist; None without `spec.autoscaling`, without KEDA, or as long as another one exists."""
    autoscaling = observed.deployment.spec.autoscaling
    if autoscaling is None or find_obsolete(observed):
        return None
    if not autoscaling.uses_keda:
        return Kind.AUTOSCALER
    return None if observed.without_keda else Kind.SCALED_OBJECT


def find_obsolete(observed: ObservedState) -> tuple[Child, ...]:
    """The autoscalers of the other provider that still exist."""
    autoscaling = observed.deployment.spec.autoscaling
    if autoscaling is None:
        return ()
    others = (observed.own_autoscaler,) if autoscaling.uses_keda else (observed.scaled_object, observed.keda_autoscaler)
    return tuple(child for child in others if child)


def without_other_autoscalers(manifests: Iterable[Manifest], kind: Kind | None) -> list[Manifest]:
    """The manifests without autoscalers of other kinds."""
    return [each for each in manifests if each["kind"] not in _AUTOSCALERS or each["kind"] == kind]
