"""The condition Exposed: whether clients outside the cluster can reach the deployment, and at which address.

Pure. The verdict is that of the ingress controller; the operator sends no request of its own.
"""

from __future__ import annotations

from triton_operator.api.conditions import Reason
from triton_operator.api.exposure import Ingress
from triton_operator.api.names import ingress_name
from triton_operator.api.status import Truth
from triton_operator.cluster.observed import Child, IngressState, Kind
from triton_operator.reconcile.accepted_routes import judge_routes
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.exposure import decide_exposure, exposing_kinds
from triton_operator.reconcile.messages import join
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.readiness import Verdict
from triton_operator.resources.ingress import PROTOCOLS

_NO_PEERS = (
    "the NetworkPolicy admits only callers of the same namespace: if those of the controller are in another one, add "
    "them to spec.privacy.network.allowFrom"
)


def judge_exposed(assessment: Assessment) -> Verdict | None:
    """The condition; None without `spec.exposure`."""
    observed = assessment.observed
    exposure, decision = observed.deployment.spec.exposure, decide_exposure(observed, assessment.revision)
    if exposure is None or decision is None:
        return None
    if decision.obstacle:
        return Verdict(Truth.FALSE, decision.obstacle.reason, decision.obstacle.message)
    kinds = exposing_kinds(exposure, with_tls=decision.with_tls)
    blocked = assessment.blocked
    if blocked and any(kind in kinds for kind, _ in blocked.taken | (blocked.failed or frozenset())):
        return Verdict(Truth.FALSE, blocked.reason, blocked.message)
    if exposure.gateway:
        verdict = judge_routes(observed, exposure, exposure.gateway, with_tls=decision.with_tls)
    elif exposure.ingress:
        verdict = _judge_ingress(observed, exposure.ingress)
    else:
        return None  # The spec is invalid.
    return verdict._replace(message=join(verdict.message, _not_admitted(observed)))


def ingress_addresses(observed: ObservedState) -> tuple[str, ...]:
    """The addresses at which every protocol is exposed; none while an Ingress has none."""
    found = [_state(observed, protocol) for protocol in PROTOCOLS]
    if not all(state and state.addresses for state in found):
        return ()
    return tuple(dict.fromkeys(address for state in found if state for address in state.addresses))


def _judge_ingress(observed: ObservedState, ingress: Ingress) -> Verdict:
    name = observed.deployment.metadata.name
    children = {ingress_name(name, protocol) for protocol in PROTOCOLS}
    pending = [ingress_name(name, protocol) for protocol in PROTOCOLS if not _is_served(observed, protocol)]
    if pending:
        controller = f"IngressClass {ingress.class_name}" if ingress.class_name else "the default IngressClass"
        are, it = ("have", "them an address") if len(pending) > 1 else ("has", "it an address")
        return Verdict(
            Truth.FALSE,
            Reason.ADDRESS_PENDING,
            f"Ingress {' and '.join(pending)} {are} no address: no controller has given {it}; check that "
            f"{controller} exists and that its controller runs",
        )
    addresses = ", ".join(ingress_addresses(observed))
    return Verdict(
        Truth.TRUE,
        Reason.EXPOSED,
        f"Ingress {' and '.join(sorted(children))} for {ingress.host} have the address {addresses}, to which the name "
        "must lead",
    )


def _not_admitted(observed: ObservedState) -> str:
    privacy = observed.deployment.spec.privacy
    return _NO_PEERS if privacy.profile.is_private and not privacy.network.allow_from else ""


def _is_served(observed: ObservedState, protocol: str) -> bool:
    state = _state(observed, protocol)
    return state is not None and bool(state.addresses)


def _state(observed: ObservedState, protocol: str) -> IngressState | None:
    child: Child | None = observed.children.get(
        (Kind.INGRESS, ingress_name(observed.deployment.metadata.name, protocol))
    )
    return child.state if child and isinstance(child.state, IngressState) else None
