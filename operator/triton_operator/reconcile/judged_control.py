"""The result of judging one privacy control. Pure."""

from __future__ import annotations

from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.status import Control, ControlName, ControlState
from triton_operator.reconcile.messages import clip


class JudgedControl(NamedTuple):
    """A control with its state; `reason` becomes that of PrivacyEnforced if this control decides the condition.

    `required`: the profile requires the control. Otherwise it does not affect the condition.
    """

    name: ControlName
    state: ControlState
    reason: str
    message: str
    required: bool = True

    def control(self, since: str) -> Control:
        """The control in the status, with the time since which it has this state."""
        return Control(self.name, self.state, clip(self.message), self.required, since)

    def as_advice(self) -> JudgedControl:
        """The same control, if the profile does not require it."""
        return self._replace(required=False)


def enforced(name: ControlName, message: str) -> JudgedControl:
    """A control that is in force."""
    return JudgedControl(name, ControlState.ENFORCED, Reason.ENFORCED, message)


def not_enforced(name: ControlName, reason: str, message: str) -> JudgedControl:
    """A control that is not in force."""
    return JudgedControl(name, ControlState.NOT_ENFORCED, reason, message)


def unknown(name: ControlName, reason: str, message: str) -> JudgedControl:
    """A control whose state the operator cannot determine."""
    return JudgedControl(name, ControlState.UNKNOWN, reason, message)


def not_rendered(name: ControlName) -> JudgedControl:
    """A control of pods before there is a pod template."""
    return unknown(name, Reason.WAITING, "no pod template has been created yet")
