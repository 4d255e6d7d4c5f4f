"""Clients for applications: ModelDeployments and their predictions by name, over HTTP or gRPC.

Requires the extra `sdk`. Inside a cluster, a client connects to the Service; outside, through `kubectl port-forward`.
docs/sdk.md has examples.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from triton_operator.errors import TritonOperatorError
from triton_operator.sdk.address import Protocol
from triton_operator.sdk.errors import (
    DeadlineExceededError,
    DeploymentNotFoundError,
    InferenceError,
    InvalidRequestError,
    NotReadyError,
    ObjectChangedError,
    RejectedError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.kube_context import KubeContext

if TYPE_CHECKING:
    from triton_operator.sdk.async_client import AsyncClient
    from triton_operator.sdk.client import Client
    from triton_operator.sdk.interface import ModelInterface, TensorInterface
    from triton_operator.sdk.prediction import Prediction
    from triton_operator.sdk.status import DeploymentStatus

__all__ = [
    "AsyncClient",
    "Client",
    "DeadlineExceededError",
    "DeploymentNotFoundError",
    "DeploymentStatus",
    "InferenceError",
    "InvalidRequestError",
    "KubeContext",
    "ModelInterface",
    "NotReadyError",
    "ObjectChangedError",
    "Prediction",
    "Protocol",
    "RejectedError",
    "SdkError",
    "TensorInterface",
    "TritonOperatorError",
    "UnreachableError",
]

_LATE = {
    "AsyncClient": "async_client",
    "Client": "client",
    "DeploymentStatus": "status",
    "ModelInterface": "interface",
    "Prediction": "prediction",
    "TensorInterface": "interface",
}


def __getattr__(name: str) -> Any:
    """Import the clients on first use, so that `tritonctl --help` does not import NumPy."""
    if name in _LATE:
        return getattr(importlib.import_module(f"triton_operator.sdk.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
