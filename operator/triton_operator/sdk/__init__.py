"""Client for applications: predictions from a ModelDeployment by its name, over HTTP or gRPC.

Needs the extra `triton-operator[cli]`. Inside a cluster it goes to the Service; outside, through kubectl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triton_operator.sdk.address import Protocol
from triton_operator.sdk.errors import (
    InferenceFailed,
    NotFound,
    Refused,
    RequestInvalid,
    SdkError,
    Unreachable,
)
from triton_operator.sdk.kubectl import Kubectl

if TYPE_CHECKING:
    from triton_operator.sdk.client import Client, Prediction

__all__ = [
    "Client",
    "InferenceFailed",
    "Kubectl",
    "NotFound",
    "Prediction",
    "Protocol",
    "Refused",
    "RequestInvalid",
    "SdkError",
    "Unreachable",
]


def __getattr__(name: str) -> Any:
    """Import the client when it is first asked for: numpy is half a second that `tritonctl --help` need not wait."""
    if name in {"Client", "Prediction"}:
        from triton_operator.sdk import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
