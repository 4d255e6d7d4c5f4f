"""What to report about writes that the API server did not carry out: who has to act, and the original error.

Pure. `execute` returns a FailedWrite for each; `summarize` combines those of one pass into one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from triton_operator.api.conditions import TERMINAL, Reason
from triton_operator.cluster.errors import ClusterError, ConflictError, DeniedError, InvalidObjectError, NotFoundError
from triton_operator.cluster.observed import ROUTE_KINDS, ChildId, Kind
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.reconcile.messages import MESSAGE_LIMIT, clip, join
from triton_operator.reconcile.refused_adoptions import describe_refused

TOO_MANY_REQUESTS = 429

CERT_MANAGER_MISSING = (
    "cert-manager is not installed: the API server does not serve Certificates (cert-manager.io/v1), which "
    "spec.privacy.tls.mode CertManager needs; the operator retries automatically"
)

ORPHANED = "Set spec.adopt to Matching if the content is what the operator creates, rename the ModelDeployment, or"
"""What a user can do about objects with the operator's labels and without an owner, besides deleting them."""

GATEWAY_API_MISSING = (
    "the API server does not serve {} (gateway.networking.k8s.io/v1), which spec.exposure.gateway needs; install "
    "version 1.4 or later of the Gateway API (https://gateway-api.sigs.k8s.io) and a controller that supports it; the "
    "operator retries automatically"
)

KEDA_MISSING = (
    "KEDA is not installed: the cluster has no ScaledObjects (keda.sh/v1alpha1), which spec.autoscaling.provider KEDA "
    "needs. The number of replicas stays as it is; install KEDA 2.19 or later (https://keda.sh/docs/latest/deploy), "
    "and the operator creates the ScaledObject within 15 seconds"
)

_MISSING: dict[Kind | SharedKind, tuple[str, str]] = {
    Kind.CERTIFICATE: (Reason.DEPENDENCY_MISSING, CERT_MANAGER_MISSING),
    Kind.SCALED_OBJECT: (Reason.KEDA_NOT_INSTALLED, KEDA_MISSING),
    **{kind: (Reason.GATEWAY_API_NOT_INSTALLED, GATEWAY_API_MISSING.format(kind)) for kind in ROUTE_KINDS},
}
"""The reason and message if the API server does not know an optional kind."""

_MALFORMED = re.compile(r"^failed to (?:create typed patch object|convert new object)\b")
"""The API server responds with 500 to content that violates the schema of its kind (observed with Kubernetes 1.36)."""
_NO_NAMESPACE = re.compile(r"^namespaces \"")
_WEBHOOK = re.compile(r'failed calling webhook "([^"]+)"')
_DENIED = re.compile(r"denied (?:the )?request")
"""Webhooks and ValidatingAdmissionPolicies choose the status code themselves (observed: 403, 413, 422)."""
_NO_PERMISSION = re.compile(r'User "[^"]*" cannot \w+ resource')
_USER_FIELD = re.compile(r"\bspec\.template\.spec\.(affinity|topologySpreadConstraints|tolerations|nodeSelector)\b")
"""Fields of the pod template that are copied from the spec."""


class Blocked(NamedTuple):
    """Why the children cannot be as desired; becomes Accepted=False.

    `permanent`: only a change of the spec can help, so there is no retry. `taken` are the children whose names objects
    of other owners have. `failed` are the children that could not be updated; None means that none was.
    """

    reason: str
    message: str
    permanent: bool = False
    taken: frozenset[ChildId] = frozenset()
    failed: frozenset[ChildId] | None = None


class FailedWrite(NamedTuple):
    """One write that was not carried out.

    `outage` is the error to raise after the status is written, if any. `permanent`: the same manifest will never be
    accepted. `missing`: the child does not exist. `taken`: an object of another owner has its name, and `owner` is the
    ModelDeployment that the object belongs to, if any.
    """

    kind: Kind | SharedKind
    name: str
    reason: str
    message: str
    outage: ClusterError | None = None
    permanent: bool = False
    missing: bool = False
    taken: bool = False
    owner: str = ""

    @property
    def is_transient(self) -> bool:
        """Whether the next attempt is likely to succeed, after a conflict or because the API server is busy."""
        return isinstance(self.outage, ConflictError) or getattr(self.outage, "status", 0) == TOO_MANY_REQUESTS


def judge_error(kind: Kind | SharedKind, name: str, error: ClusterError) -> FailedWrite:
    """Who caused an error: the user, an admission controller, or the API server."""
    if isinstance(error, NotFoundError) and kind in _MISSING and not _NO_NAMESPACE.search(error.message):
        return FailedWrite(kind, name, *_MISSING[kind])
    if _MALFORMED.match(error.message):
        return FailedWrite(kind, name, Reason.INVALID_SPEC, error.message, permanent=True)
    if isinstance(error, DeniedError) or _DENIED.search(error.message):
        reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in error.message else Reason.FORBIDDEN
        return FailedWrite(kind, name, reason, error.message)
    if isinstance(error, InvalidObjectError):
        return FailedWrite(kind, name, Reason.INVALID_SPEC, error.message)
    reason = Reason.WEBHOOK_FAILED if _WEBHOOK.search(error.message) else Reason.API_SERVER_ERROR
    return FailedWrite(kind, name, reason, error.message, outage=error)


def summarize(failures: Sequence[FailedWrite], namespace: str) -> Blocked | None:
    """All failures of a pass as one; the reason is that of the first one that needs a person, else of the first."""
    if not failures:
        return None
    groups: dict[tuple[str, str, str], list[FailedWrite]] = {}
    # The sort is stable: within each group, the order is that in which children are written.
    for failure in sorted(failures, key=lambda failure: failure.reason not in TERMINAL):
        # All refused adoptions are one group: the message of each is what differs.
        message = "" if failure.reason == Reason.ADOPTION_REFUSED else failure.message
        groups.setdefault((failure.reason, message, failure.owner), []).append(failure)
    share = MESSAGE_LIMIT // len(groups) - len("; ")
    worst = next(iter(groups.values()))[0]
    return Blocked(
        worst.reason,
        "; ".join(clip(_describe(group, namespace).rstrip(" .\n"), share) for group in groups.values()),
        permanent=all(failure.permanent for failure in failures),
        taken=_children(failure for failure in failures if failure.taken),
        failed=_children(failures),
    )


def _children(failures: Iterable[FailedWrite]) -> frozenset[ChildId]:
    """The children of these writes; a shared object is not a child."""
    return frozenset((failure.kind, failure.name) for failure in failures if isinstance(failure.kind, Kind))


def outage_of(failures: Sequence[FailedWrite]) -> ClusterError | None:
    """The error for the work queue; of several, the one with the longest `Retry-After`."""
    outages = [failure.outage for failure in failures if failure.outage]
    return max(outages, key=lambda error: getattr(error, "retry_after", 0.0), default=None)


def _describe(group: Sequence[FailedWrite], namespace: str) -> str:
    reason, message = group[0].reason, group[0].message
    if reason == Reason.NAME_CONFLICT:
        return _describe_conflict(group, namespace)
    if reason == Reason.ADOPTION_REFUSED:
        return describe_refused([(each.kind, each.name, each.message) for each in group], namespace)
    if reason == Reason.WAITING_FOR_DELETION:
        return _describe_waiting(group)
    kinds = _enumerate(list(dict.fromkeys(failure.kind.value for failure in group)))
    return join(_blame(reason, kinds, message), _consequence(reason, message))


def _blame(reason: str, kinds: str, message: str) -> str:
    """Who rejected the write, which kinds, and the original error."""
    match reason:
        case Reason.CERTIFICATE_INVALID | Reason.DEPENDENCY_MISSING | Reason.GATEWAY_API_NOT_INSTALLED:
            return message
        case Reason.INVALID_SPEC:
            field = _USER_FIELD.search(message)
            where = f"spec.scheduling.{field[1]}: " if field else ""
            return f"{where}the API server rejected the {kinds}: {message}"
        case Reason.WEBHOOK_FAILED:
            webhook = _WEBHOOK.search(message)
            return f"admission webhook {webhook[1] if webhook else ''} failed for the {kinds}: {message}"
        case Reason.API_SERVER_ERROR:
            return f"the API server failed to write the {kinds}: {message}"
        case _:
            return f"the API server denied the {kinds}: {message}"


def _consequence(reason: str, message: str) -> str:
    if reason == Reason.WEBHOOK_FAILED:
        return "the owner of the webhook has to fix it; the operator retries automatically"
    if reason == Reason.API_SERVER_ERROR:
        return "the operator retries automatically"
    if _NO_PERMISSION.search(message):
        return "the operator lacks this permission, which its Helm chart grants"
    return ""


def _describe_conflict(group: Sequence[FailedWrite], namespace: str) -> str:
    """All of them, with the command that deletes them in case nobody needs them."""
    if owner := group[0].owner:
        names = _enumerate([f"{failure.kind} {failure.name}" for failure in group])
        verb = "belongs" if len(group) == 1 else "belong"
        them = "it" if len(group) == 1 else "them"
        return f"{names} {verb} to ModelDeployment {owner}; rename this ModelDeployment, or delete {them} if unused"
    command = " ".join(f"{failure.kind.value.lower()}/{failure.name}" for failure in group)
    delete = f"kubectl delete -n {namespace} {command}"
    choices = group[0].message or "Rename the ModelDeployment, or"
    if len(group) == 1:
        kind = group[0].kind
        return (
            f"a {kind} named {group[0].name} exists and does not belong to this ModelDeployment, so it is not changed. "
            f"{choices} delete that {kind}: {delete}"
        )
    return (
        f"{len(group)} objects with names of children exist and do not belong to this ModelDeployment, so they are "
        f"not changed. {choices} delete them: {delete}"
    )


def _describe_waiting(group: Sequence[FailedWrite]) -> str:
    names = _enumerate([f"{failure.kind} {failure.name}" for failure in group])
    still, they = ("belongs", "it is") if len(group) == 1 else ("belong", "they are")
    return (
        f"{names} still {still} to a deleted ModelDeployment of the same name; "
        f"{they} created again once the garbage collector has removed {'it' if len(group) == 1 else 'them'}"
    )


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
