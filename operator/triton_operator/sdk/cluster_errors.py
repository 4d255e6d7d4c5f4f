"""Convert an error response of the API server, or a failed connection to it, to an SdkError with advice.

Pure. Input: the response's status and body, or the exception. Output: an SdkError. `kubernetes_client` calls it.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from triton_operator.api.names import PLURAL
from triton_operator.cluster.error_status import ErrorCause, ErrorDetails, ErrorStatus, read_error_status
from triton_operator.sdk.errors import (
    DeploymentNotFoundError,
    InvalidRequestError,
    ObjectChangedError,
    RejectedError,
    SdkError,
    UnreachableError,
)

_INVALID = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_NOT_IN_SCHEMA = re.compile(r"failed to create typed patch object \(.*?\): \.?(\S+): (.*)", re.DOTALL)
"""The message, with status 500, for an applied field that the schema does not have, or that has another type there."""
_OWNED_BY_ANOTHER = "FieldManagerConflict"
"""The reason of a cause if server-side apply fails; other conflicts are about the object's version."""


def error_of_response(code: int, body: str, reason: str = "") -> SdkError:
    """The error for a response with this HTTP status, which may come from a proxy."""
    status = read_error_status(body) or ErrorStatus()
    message = status.message or reason or f"HTTP status {code}"
    details = status.details or ErrorDetails()
    if found := _NOT_IN_SCHEMA.search(message):
        return InvalidRequestError(found[1], found[2])
    if code in _INVALID:
        cause = next(iter(details.causes), ErrorCause())
        return InvalidRequestError(cause.field or "manifest", cause.message or message)
    if code == HTTPStatus.NOT_FOUND:
        return _not_found(details.name, message)
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnreachableError(f"the API server failed with HTTP status {code}: {message}")
    if code == HTTPStatus.CONFLICT:
        return _conflict(details, message)
    return RejectedError(message + ("; log in, or choose another context" if code == HTTPStatus.UNAUTHORIZED else ""))


def _conflict(details: ErrorDetails, message: str) -> RejectedError:
    if any(cause.reason == _OWNED_BY_ANOTHER for cause in details.causes):
        return RejectedError(f"{message}; force=True (--force) takes over these fields")
    return ObjectChangedError(message)


def _not_found(name: str, message: str) -> DeploymentNotFoundError:
    if name:
        return DeploymentNotFoundError(f"{message}; `kubectl get {PLURAL} -A` lists the ModelDeployments")
    return DeploymentNotFoundError(f"this cluster has no {PLURAL}: install the chart charts/triton-operator first")


def error_of_transport(error: Exception) -> SdkError:
    """The error for a request without a response."""
    cause = getattr(error, "reason", None) or error
    return UnreachableError(f"the cluster does not answer: {cause} (check KUBECONFIG, --kubeconfig and --context)")


def error_of_config(error: Exception) -> SdkError:
    """The error for a configuration that names no cluster, or whose credentials cannot be read."""
    if isinstance(error, ImportError):
        return UnreachableError(f"{error}; pip install '.[sdk]', which installs the kubernetes package")
    return UnreachableError(f"no cluster is configured: {error} (check KUBECONFIG, --kubeconfig and --context)")
