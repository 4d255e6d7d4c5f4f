"""Whether the children of `spec.exposure` should exist, and what clients outside the cluster reach through them.

Pure. An obstacle affects only these children: the deployment serves inside the cluster, and the operator tries again.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.exposure import Exposure, exposed_hosts
from triton_operator.cluster.observed import ROUTE_KINDS, Kind
from triton_operator.reconcile.failed_writes import GATEWAY_API_MISSING
from triton_operator.reconcile.history import reachable_revision
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.resources.revision import RevisionSummary

_FORBIDDEN = (
    "the operator lacks permission to read {}; an administrator can grant it with the chart value rbac.exposure=true"
)


_PLURALS = {
    Kind.INGRESS: "Ingresses",
    Kind.HTTP_ROUTE: "HTTPRoutes",
    Kind.GRPC_ROUTE: "GRPCRoutes",
    Kind.BACKEND_TLS_POLICY: "BackendTLSPolicies",
}


class ExposureObstacle(NamedTuple):
    """Why the children cannot exist now."""

    reason: str
    message: str


class ExposureDecision(NamedTuple):
    """`with_tls`: the pods that clients reach accept only TLS. With an `obstacle`, the children should not exist."""

    with_tls: bool = False
    obstacle: ExposureObstacle | None = None


def decide_exposure(observed: ObservedState, current: RevisionSummary | None) -> ExposureDecision | None:
    """The decision for pods of the revision `current`; None without `spec.exposure`."""
    exposure = observed.deployment.spec.exposure
    if exposure is None:
        return None
    reachable = reachable_revision(observed, current)
    with_tls = reachable is not None and reachable.terminates_tls
    return ExposureDecision(with_tls, _find_obstacle(observed, exposure, with_tls=with_tls))


def exposing_kinds(exposure: Exposure, *, with_tls: bool) -> tuple[Kind, ...]:
    """The kinds of the children."""
    if exposure.gateway is None:
        return (Kind.INGRESS,)
    return (Kind.HTTP_ROUTE, Kind.GRPC_ROUTE, *((Kind.BACKEND_TLS_POLICY,) if with_tls else ()))


def _find_obstacle(observed: ObservedState, exposure: Exposure, *, with_tls: bool) -> ExposureObstacle | None:
    unavailable = dict(observed.exposure.unavailable)
    needed = {kind: unavailable[kind] for kind in exposing_kinds(exposure, with_tls=with_tls) if kind in unavailable}
    if forbidden := _plurals(kind for kind, status in needed.items() if status is HTTPStatus.FORBIDDEN):
        return ExposureObstacle(Reason.FORBIDDEN, _FORBIDDEN.format(forbidden))
    if missing := _plurals(kind for kind in needed if kind in ROUTE_KINDS):
        return ExposureObstacle(Reason.GATEWAY_API_NOT_INSTALLED, GATEWAY_API_MISSING.format(missing))
    if held := [host for host in exposed_hosts(exposure) if host in observed.exposure.held_hosts]:
        hosts = ", ".join(held)
        return ExposureObstacle(
            Reason.HOST_IN_USE,
            f"another ModelDeployment already exposes {hosts}; choose another host name, or remove spec.exposure from "
            "that ModelDeployment",
        )
    return None


def _plurals(kinds: Iterable[Kind]) -> str:
    return ", ".join(_PLURALS[kind] for kind in kinds)
