"""Whether a child that a privacy control relies on is in place. Pure."""

from __future__ import annotations

from triton_operator.api.conditions import Reason
from triton_operator.api.status import ControlName
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.judged_control import JudgedControl, not_enforced, unknown


def judge_child(control: ControlName, kind: Kind, name: str, assessment: Assessment) -> JudgedControl | None:
    """What to report if the child is missing, belongs to somebody else or could not be updated; None if it is in place.

    For example, if the spec is invalid, the proxy's policy is that of an earlier spec, which may admit more.
    """
    blocked = assessment.blocked
    if blocked and (kind, name) in blocked.taken:
        message = f"{kind} {name} exists but is not part of this ModelDeployment, so its content is not checked"
        return unknown(control, Reason.NAME_CONFLICT, message)
    if (kind, name) not in assessment.observed.children:
        return not_enforced(control, Reason.POLICY_MISSING, f"{kind} {name} does not exist")
    if blocked and (blocked.failed is None or (kind, name) in blocked.failed):
        message = f"{kind} {name} may be outdated, because it could not be updated: {blocked.message}"
        return unknown(control, blocked.reason, message)
    return None
