"""What can go wrong on the way to a deployment and to its predictions.

::

    SdkError
     ├─ UnreachableError       no way to the cluster or the server: kubectl missing, no kubeconfig, connection refused
     ├─ DeploymentNotFoundError          the cluster answers, and has no such object
     ├─ RejectedError           the cluster or the server answers, and does not let us
 ├─ NotReadyError          the deployment did not become Ready; has `reason`, `message` and `stalled`
 ├─ Timeout           no answer in the time given; whether the model ran is not known
     ├─ InvalidRequestError    the inference request contradicts itself; the message names the field
     └─ InferenceError   the server got the request and answered with an error

Each message is written for the person who called, and says what to do where that can be known.
"""

from __future__ import annotations


class SdkError(Exception):
    """Any error of the SDK."""


class UnreachableError(SdkError):
    """The cluster or the server cannot be reached; nothing was done."""


class DeploymentNotFoundError(SdkError):
    """There is no such object in the cluster."""


class RejectedError(SdkError):
    """The caller is not allowed, or the cluster does not accept what was asked."""


class NotReadyError(SdkError):
    """The deployment is not Ready, and waiting has ended: the time was over, or it is `stalled` and needs a person.

    `reason` is the condition's word (docs/reasons has a page for each), `message` its sentence.
    """

    def __init__(self, deployment: str, reason: str, message: str, *, stalled: bool) -> None:
        super().__init__(f"{deployment}: not Ready: {reason}" + (f": {message}" if message else ""))
        self.reason = reason
        self.message = message
        self.stalled = stalled


class DeadlineExceededError(SdkError):
    """There was no answer in time. An inference may have run all the same."""


class InvalidRequestError(SdkError):
    """`field` of the request, such as `inputs[0].data`, cannot be sent as it is."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InferenceError(SdkError):
    """The server refused or failed the inference; the message has its own sentence."""
