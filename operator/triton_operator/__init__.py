"""Kubernetes operator that turns a ModelDeployment object into NVIDIA Triton inference pods.

Applications import the clients from here; see `triton_operator.sdk`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triton_operator.errors import TritonOperatorError

if TYPE_CHECKING:
    from triton_operator.sdk import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "TritonOperatorError", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a client when it is first asked for: the operator has neither NumPy nor tritonclient."""
    if name in {"AsyncClient", "Client"}:
        from triton_operator import sdk

        return getattr(sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
