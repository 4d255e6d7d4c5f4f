"""References from a ModelDeployment to objects in its namespace.

The operator copies the references into the pods and never reads the objects; the kubelet reads them.
"""

from __future__ import annotations

from triton_operator.api.struct import Struct


class ConfigMapKey(Struct, frozen=True):
    """One key of a ConfigMap in the deployment's namespace."""

    name: str
    key: str


class SecretName(Struct, frozen=True):
    """Reference to a Secret of the same namespace."""

    name: str
