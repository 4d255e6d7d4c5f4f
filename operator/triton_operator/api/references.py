"""References from a ModelDeployment to objects of its own namespace.

The operator hands them through to the pods and never reads what they name: the kubelet does.
"""

from __future__ import annotations

from triton_operator.api.struct import Struct


class SecretName(Struct, frozen=True):
    """Reference to a Secret of the same namespace."""

    name: str
