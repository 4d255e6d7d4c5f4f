"""Kubernetes operator that turns a ModelDeployment object into NVIDIA Triton inference pods.

Applications import the clients and their errors from `triton_operator.sdk`.
"""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError

__all__ = ["TritonOperatorError", "__version__"]

__version__ = "0.1.0"
