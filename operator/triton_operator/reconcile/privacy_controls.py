"""`status.privacy.controls`, and PrivacyEnforced as their summary.

Pure. Input: the Assessment. The profile Private promises restricted traffic, so it requires the controls of the
network, of TLS and callers, and of the administration APIs. AirGapped also requires those of images, models and the
release. The others are advice: they help to assess a deployment.
"""

from __future__ import annotations

from collections.abc import Sequence

from triton_operator.api.conditions import Reason
from triton_operator.api.status import ControlState, Truth
from triton_operator.reconcile.assessment import Assessment
from triton_operator.reconcile.judged_control import JudgedControl
from triton_operator.reconcile.network_controls import judge_network
from triton_operator.reconcile.readiness import Verdict
from triton_operator.reconcile.revisions_in_use import revisions_in_use
from triton_operator.reconcile.server_controls import judge_server
from triton_operator.reconcile.traffic_controls import judge_traffic


def judge_controls(assessment: Assessment) -> tuple[JudgedControl, ...]:
    """All controls that apply to the deployment, in the order of ControlName; none under profile Open."""
    if not assessment.observed.deployment.spec.privacy.profile.is_private:
        return ()
    used = revisions_in_use(assessment)
    return (*judge_network(assessment), *judge_traffic(assessment, used), *judge_server(assessment, used))


def summarize(controls: Sequence[JudgedControl]) -> Verdict | None:
    """PrivacyEnforced: False with the first control that is not enforced, else Unknown with the first unknown one."""
    if not controls:
        return None
    required = [control for control in controls if control.required]
    for state, status in ((ControlState.NOT_ENFORCED, Truth.FALSE), (ControlState.UNKNOWN, Truth.UNKNOWN)):
        for control in required:
            if control.state is state:
                return Verdict(status, control.reason, control.message)
    return Verdict(Truth.TRUE, Reason.ENFORCED, f"all {len(required)} required controls are enforced")
