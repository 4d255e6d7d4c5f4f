"""Whether the Gateways in the spec accept the routes, in the words of their controllers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.api.conditions import Reason
from triton_operator.api.exposure import Exposure, Gateway, ParentRef
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import Kind, RouteParent, RouteState
from triton_operator.reconcile.exposure import exposing_kinds
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.readiness import Verdict

_REQUIRED = {
    Kind.HTTP_ROUTE: ("Accepted", "ResolvedRefs"),
    Kind.GRPC_ROUTE: ("Accepted", "ResolvedRefs"),
    Kind.BACKEND_TLS_POLICY: ("Accepted",),
}


def judge_routes(observed: ObservedState, exposure: Exposure, gateway: Gateway, *, with_tls: bool) -> Verdict:
    """The verdict; what a Gateway rejects takes precedence over what has not been reported."""
    pending: list[str] = []
    for kind in exposing_kinds(exposure, with_tls=with_tls):
        for reference in gateway.parent_refs:
            rejected, waiting = _judge(observed, kind, reference)
            if rejected:
                return Verdict(Truth.FALSE, Reason.ROUTE_NOT_ACCEPTED, rejected)
            pending += [waiting] if waiting else []
    if pending:
        return Verdict(
            Truth.FALSE,
            Reason.ROUTE_PENDING,
            f"no controller has reported on {', '.join(pending)}; check that each Gateway exists, that its controller "
            "runs, and that it supports these kinds",
        )
    gateways = ", ".join(_described(each, observed) for each in gateway.parent_refs)
    hosts = ", ".join(gateway.hostnames)
    return Verdict(Truth.TRUE, Reason.EXPOSED, f"{gateways} accepts HTTP and gRPC for {hosts}")


def _judge(observed: ObservedState, kind: Kind, reference: ParentRef) -> tuple[str, str]:
    """What the Gateway rejects, and what it has not reported on."""
    name = observed.deployment.metadata.name
    waiting = f"{kind} {name} for {_described(reference, observed)}"
    accepted = False
    for parent in _reports(observed, kind, reference):
        conditions = {each.type: each for each in parent.conditions}
        for required in _REQUIRED[kind]:
            found = conditions.get(required)
            if found and found.status == "False":
                cause = f"{found.reason}: {found.message}" if found.message else found.reason
                return f"{_described(reference, observed)} does not accept {kind} {name}: {cause}", ""
        accepted |= all(
            required in conditions and conditions[required].status == "True" for required in _REQUIRED[kind]
        )
    return "", "" if accepted else waiting


def _reports(observed: ObservedState, kind: Kind, reference: ParentRef) -> Iterator[RouteParent]:
    """The reports on this reference; those on a policy name the Gateway only."""
    child = observed.children.get((kind, observed.deployment.metadata.name))
    if child is None or not isinstance(child.state, RouteState):
        return
    of_listener = reference.section_name or "", reference.port or 0
    for parent in child.state.parents:
        is_gateway = (parent.namespace, parent.name) == (_namespace(reference, observed), reference.name)
        if is_gateway and (kind is Kind.BACKEND_TLS_POLICY or (parent.section, parent.port) == of_listener):
            yield parent


def _described(reference: ParentRef, observed: ObservedState) -> str:
    return f"Gateway {_namespace(reference, observed)}/{reference.name}"


def _namespace(reference: ParentRef, observed: ObservedState) -> str:
    return reference.namespace or observed.deployment.metadata.namespace
