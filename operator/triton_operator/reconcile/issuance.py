"""Whether cert-manager has issued the certificate of TLS mode CertManager, and what it reports otherwise.

The operator cannot read the Secret. It knows the conditions of the Certificate and, while one is pending, the Events of
the request. Pods of a new revision wait for the first certificate, because the kubelet mounts a Secret that appears
later only after a minute.
"""

from __future__ import annotations

from typing import TypeGuard

from triton_operator.api.conditions import Reason
from triton_operator.api.names import certificate_name
from triton_operator.api.privacy import TLSMode
from triton_operator.cluster.observed import CertificateState, Kind, PodEvent
from triton_operator.cluster.protocol import Cluster
from triton_operator.reconcile.container_ends import Diagnosis
from triton_operator.reconcile.history import past_revisions
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.retry_hint import retry_hint
from triton_operator.reconcile.times import parse_time
from triton_operator.resources.revision import RevisionSummary

_PROGRESS = frozenset({"WaitingForApproval", "cert-manager.io"})
"""Reasons of Events about the approval of a request, which precedes its signature."""


async def read_request_events(cluster: Cluster, observed: ObservedState) -> tuple[PodEvent, ...]:
    """Events of the pending request, because nothing else that the operator may read reports an unknown issuer."""
    name = pending_request(observed)
    return tuple(await cluster.request_events(observed.deployment.metadata.namespace, name)) if name else ()


def pending_request(observed: ObservedState) -> str:
    """The name of the CertificateRequest that cert-manager waits for, "" if there is none."""
    state = _state(observed)
    if state is None or state.is_ready or not state.conditions:
        return ""
    return f"{certificate_name(observed.deployment.metadata.name)}-{state.revision + 1}"


def is_issued(observed: ObservedState) -> bool:
    """Whether cert-manager has stored a valid certificate."""
    state = _state(observed)
    return state is not None and state.is_ready


def diagnose_certificate(observed: ObservedState, revision: RevisionSummary | None) -> Diagnosis | None:
    """Why pods of this revision are not created yet, or why no client accepts their certificate any more."""
    if not _mounts_certificate(revision) or is_issued(observed):
        return None
    state, template = _state(observed), revision.template_hash
    expiry = parse_time(state.not_after) if state else None
    if state and expiry and expiry <= observed.now:
        return _diagnosis(Reason.CERTIFICATE_INVALID, f"the certificate expired at {state.not_after}", observed)
    if any(past.summary.template_hash == template for past in past_revisions(observed)):
        return None  # Pods of the revision exist, and use the last certificate.
    return _diagnosis(Reason.CERTIFICATE_PENDING, "", observed)


def describe_renewal(observed: ObservedState, revision: RevisionSummary | None) -> str:
    """What cert-manager reports if it has not issued a certificate again that pods already use; "" otherwise."""
    return "" if not _mounts_certificate(revision) or is_issued(observed) else _report(observed)


def _mounts_certificate(revision: RevisionSummary | None) -> TypeGuard[RevisionSummary]:
    return revision is not None and revision.tls_mode is TLSMode.CERT_MANAGER


def _diagnosis(reason: str, cause: str, observed: ObservedState) -> Diagnosis:
    message = ": ".join(filter(None, [cause, _report(observed)]))
    return Diagnosis(reason, message, retry_hint=retry_hint(reason))


def _report(observed: ObservedState) -> str:
    """The conditions of the Certificate and the last Event of the request, in the words of cert-manager."""
    state, name = _state(observed), certificate_name(observed.deployment.metadata.name)
    conditions = {each.type: each for each in state.conditions} if state else {}
    ready, issuing = conditions.get("Ready"), conditions.get("Issuing")
    if ready is None:
        return f"cert-manager has not reported on Certificate {name} yet"
    events = [event.message for event in observed.request_events if event.reason not in _PROGRESS]
    failure = issuing.message if issuing and issuing.status == "False" else ""
    details = [ready.message or ready.reason, failure, *events[-1:]]
    return f"Certificate {name} is not ready: {': '.join(dict.fromkeys(filter(None, details)))}"


def _state(observed: ObservedState) -> CertificateState | None:
    child = observed.children.get((Kind.CERTIFICATE, certificate_name(observed.deployment.metadata.name)))
    return child.state if child and isinstance(child.state, CertificateState) else None
