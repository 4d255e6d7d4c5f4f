"""Whether the children of `spec.exposure` should exist, and what clients outside the cluster reach through them.

Pure. An obstacle affects only these children: the deployment serves inside the cluster, and the operator tries again.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.exposure import exposed_hosts
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.history import reachable_revision
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.resources.revision import RevisionSummary

_FORBIDDEN = (
    "the operator may not read {}; an administrator can allow it with the value rbac.exposure of the operator's chart"
)


class Obstacle(NamedTuple):
    """Why the children cannot exist now."""

    reason: str
    message: str


class ExposureDecision(NamedTuple):
    """`with_tls`: the pods that clients reach accept only TLS. With an `obstacle`, the children should not exist."""

    with_tls: bool = False
    obstacle: Obstacle | None = None


def decide_exposure(observed: ObservedState, current: RevisionSummary | None) -> ExposureDecision | None:
    """The decision for pods of the revision `current`; None without `spec.exposure`."""
    if observed.deployment.spec.exposure is None:
        return None
    if obstacle := _find_obstacle(observed):
        return ExposureDecision(obstacle=obstacle)
    reachable = reachable_revision(observed, current)
    return ExposureDecision(with_tls=reachable is not None and reachable.terminates_tls)


def _find_obstacle(observed: ObservedState) -> Obstacle | None:
    facts, exposure = observed.exposure, observed.deployment.spec.exposure
    unavailable = dict(facts.unavailable)
    if exposure and exposure.ingress and unavailable.get(Kind.INGRESS) == HTTPStatus.FORBIDDEN:
        return Obstacle(Reason.FORBIDDEN, _FORBIDDEN.format("Ingresses"))
    if held := [host for host in exposed_hosts(exposure) if host in facts.held_hosts]:
        hosts = ", ".join(held)
        return Obstacle(
            Reason.HOST_IN_USE,
            f"another ModelDeployment has exposed {hosts} before this one; choose another host name, or remove "
            "spec.exposure of the other one",
        )
    return None
