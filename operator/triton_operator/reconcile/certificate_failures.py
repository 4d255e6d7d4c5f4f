"""What to report if a certificate cannot be issued or stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from triton_operator.api.conditions import Reason
from triton_operator.api.names import SERVING_SECRET
from triton_operator.certificates.facts import CertificateFacts
from triton_operator.cluster.shared_objects import SharedKind, SharedObject
from triton_operator.errors import TritonOperatorError
from triton_operator.reconcile.failed_writes import FailedWrite

FULL = (
    f"Secret {SERVING_SECRET} has no room for another certificate, because a Secret can contain 1 MiB (about 500 "
    "deployments); create the deployment in another namespace, or set spec.privacy.tls.mode to Secret or CertManager"
)


class UnusableObjectError(TritonOperatorError):
    """The certificate or the bundle cannot be stored; the message says what a person has to do."""


def check_usable(kind: SharedKind, name: str, stored: SharedObject[Any] | None, *, changes: bool) -> None:
    """Raise UnusableObjectError if the operator must not write a shared object, or cannot and `changes` its data.

    It does not delete the object, on which other clients may rely.
    """
    if stored is None or (stored.is_ours and not (changes and stored.is_frozen)):
        return
    remedy = f"delete it: kubectl delete -n {stored.namespace} {kind.lower()}/{name}"
    if not stored.is_ours:
        raise UnusableObjectError(
            f"a {kind} named {name} exists that the operator has not created, so it is not changed; {remedy}"
        )
    raise UnusableObjectError(
        f"somebody has made {kind} {name} immutable, so the operator can neither restore nor renew its content; "
        f"{remedy}; the operator then creates it again"
    )


def judge_failure(failure: FailedWrite, stored: CertificateFacts | None, now: datetime) -> FailedWrite:
    """Whether pods can start without the write, and whether the stored certificate is still valid."""
    if stored is None or stored.problem:
        return failure._replace(missing=True)
    if stored.not_after > now:
        return failure
    expired = f"the certificate expired at {stored.not_after:%Y-%m-%dT%H:%M:%SZ} and cannot be renewed"
    return failure._replace(reason=Reason.CERTIFICATE_INVALID, message=f"{expired}: {failure.message}")
