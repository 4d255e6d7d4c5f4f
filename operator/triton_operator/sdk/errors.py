"""Errors that the clients raise.

::

    TritonOperatorError                  any error of the package
     └─ SdkError                         any error of a client
         ├─ UnreachableError             no connection: kubectl or kubeconfig missing, connection refused, server busy
         ├─ DeploymentNotFoundError      the deployment or the model does not exist
         ├─ RejectedError                permission denied, or another program owns the field
         ├─ NotReadyError                the deployment is not Ready; has `reason`, `message` and `stalled`
         ├─ DeadlineExceededError        no response within the timeout; the model may have run
         ├─ InvalidRequestError          a value, file or field cannot be used; `field` names it
         └─ InferenceError               the server returned an error

Each message is written for the caller and names the next step where one is known.
"""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class SdkError(TritonOperatorError):
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
