"""What the API server or the way to it said, as one of our errors with what to do about it.

Pure. Input: an exception of the `kubernetes` package. Output: an SdkError. `deployments` calls it.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from triton_operator.api.names import PLURAL
from triton_operator.sdk.errors import (
    DeploymentNotFoundError,
    InvalidRequestError,
    RejectedError,
    SdkError,
    UnreachableError,
)

_INVALID = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_NOT_IN_SCHEMA = re.compile(r"failed to create typed patch object \(.*?\): \.?(\S+): (.*)", re.DOTALL)
"""What an apply gets, with status 500, for a field that the schema does not have or that has another type there."""
_ADVICE = {
    HTTPStatus.CONFLICT: "; force=True (--force) takes these fields over",
    HTTPStatus.UNAUTHORIZED: "; log in, or choose another context",
}


def explain_refusal(error: Any) -> SdkError:
    """An answer of the API server that is an error; `error` is an ApiException."""
    status = _status(error)
    said = status.get("message") or str(error.reason or error)
    if found := _NOT_IN_SCHEMA.search(said):
        return InvalidRequestError(found[1], found[2])
    if error.status in _INVALID:
        cause = (status.get("details", {}).get("causes") or [{}])[0]
        return InvalidRequestError(cause.get("field") or "manifest", cause.get("message") or said)
    if error.status == HTTPStatus.NOT_FOUND:
        return _not_found(status, said)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnreachableError(f"the cluster does not work now ({error.status}): {said}")
    return RejectedError(said + _ADVICE.get(error.status, ""))


def _not_found(status: dict[str, Any], said: str) -> DeploymentNotFoundError:
    if status.get("details", {}).get("name"):
        return DeploymentNotFoundError(f"{said}; `kubectl get {PLURAL} -A` lists what there is")
    return DeploymentNotFoundError(
        f"this cluster does not know {PLURAL}: install the chart charts/triton-operator first"
    )


def explain_transport(error: Exception) -> SdkError:
    """No answer at all."""
    cause = getattr(error, "reason", None) or error
    return UnreachableError(f"the cluster does not answer: {cause} (check KUBECONFIG and the context)")


def explain_config(error: Exception) -> SdkError:
    """No way to a cluster is known."""
    if isinstance(error, ImportError):
        return UnreachableError(f"{error}; pip install '.[sdk]', which installs the kubernetes package")
    return UnreachableError(f"no cluster is known: {error} (check KUBECONFIG, kubeconfig and context)")


def _status(error: Any) -> dict[str, Any]:
    """The Status object in the answer's body; empty where there is none."""
    try:
        found = json.loads(error.body or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
