"""Errors that the clients raise.

::

    TritonOperatorError                  any error of the package
     └─ SdkError                         any error of a client
         ├─ UnreachableError             no connection: kubectl or kubeconfig missing, connection refused, server busy
         ├─ DeploymentNotFoundError      the deployment or the model does not exist
         ├─ RejectedError                permission denied, or another program owns the field
         │   └─ ObjectChangedError       another program changed the object after it was read
         ├─ NotReadyError                the deployment is not Ready; has `reason`, `message` and `stalled`
         ├─ DeadlineExceededError        no response within the timeout; the model may have run
         ├─ InvalidRequestError          a value, file or field cannot be used; `field` names it
         └─ InferenceError               the server returned an error

Each message is written for the caller and names the next step if there is one.
"""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class SdkError(TritonOperatorError):
    """Any error of the SDK."""


class UnreachableError(SdkError):
    """The cluster or the server cannot be reached; nothing was done."""


class DeploymentNotFoundError(SdkError):
    """The object does not exist in the cluster."""


class RejectedError(SdkError):
    """Permission denied, or the cluster rejects the request."""


class ObjectChangedError(RejectedError):
    """Another program changed the object after it was read; nothing was written."""


class NotReadyError(SdkError):
    """The deployment did not become Ready within the timeout, or is `stalled` until a user fixes the cause.

    `reason` and `message` are those of the Ready condition; docs/reasons has a page for each reason.
    """

    def __init__(self, deployment: str, reason: str, message: str, *, stalled: bool) -> None:
        super().__init__(f"{deployment}: not Ready: {reason}" + (f": {message}" if message else ""))
        self.reason = reason
        self.message = message
        self.stalled = stalled


class DeadlineExceededError(SdkError):
    """No response within the timeout; the model may have run."""


class InvalidRequestError(SdkError):
    """A value, file or field cannot be used; `field` names it, such as `inputs[0].data`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InferenceError(SdkError):
    """The server returned an error; the message contains the server's message."""
