"""References from a ModelDeployment to objects in its namespace.

The operator copies them to the pods and never reads the objects; the kubelet does.
"""

from __future__ import annotations

from triton_operator.api.struct import Struct


class SecretName(Struct, frozen=True):
    """Reference to a Secret of the same namespace."""

    name: str
