"""What to report if a certificate cannot be issued or stored."""

from __future__ import annotations

from datetime import datetime

from triton_operator.api.conditions import Reason
from triton_operator.api.names import SERVING_SECRET
from triton_operator.certificates.facts import CertificateFacts
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.errors import TritonOperatorError
from triton_operator.reconcile.failed_writes import FailedWrite

FULL = (
    f"Secret {SERVING_SECRET} has no room for another certificate, because a Secret can contain 1 MiB (about 500 "
    "deployments); create the deployment in another namespace, or set spec.privacy.tls.mode to Secret or CertManager"
)


class UnusableObjectError(TritonOperatorError):
    """The certificate or the bundle cannot be stored; the message says what a person has to do."""


def describe_foreign(kind: SharedKind, name: str, namespace: str) -> str:
    """An object of somebody else has the name of a shared object."""
    return (
        f"a {kind} named {name} exists that the operator has not created, so it is not changed; delete it: "
        f"kubectl delete -n {namespace} {kind.lower()}/{name}"
    )


def judge_failure(failure: FailedWrite, stored: CertificateFacts | None, now: datetime) -> FailedWrite:
    """Whether pods can start without the write, and whether the stored certificate is still valid."""
    if stored is None or stored.problem:
        return failure._replace(missing=True)
    if stored.not_after > now:
        return failure
    expired = f"the certificate expired at {stored.not_after:%Y-%m-%dT%H:%M:%SZ} and cannot be renewed"
    return failure._replace(reason=Reason.CERTIFICATE_INVALID, message=f"{expired}: {failure.message}")
