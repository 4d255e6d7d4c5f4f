"""Environment variables that a user sets in the Triton container: `spec.env` and `spec.envFrom`.

The types and their names are those of Kubernetes (core/v1), without sources that need a volume; `pod_parts` adds what
`spec.podTemplate` may have in addition. The operator copies the references into the pods and never reads the objects;
the kubelet reads them.
"""

from __future__ import annotations

from triton_operator.api.struct import Struct


class KeySelector(Struct, frozen=True):
    """One key of a ConfigMap or Secret; if it is `optional`, a missing one leaves the variable unset."""

    name: str
    key: str
    optional: bool | None = None


class FieldSelector(Struct, frozen=True):
    """A field of the pod, such as `status.podIP`."""

    field_path: str


class ResourceFieldSelector(Struct, frozen=True):
    """A request or limit of the container, such as `limits.memory`, in units of `divisor`."""

    resource: str
    divisor: str | None = None


class EnvVarSource(Struct, frozen=True):
    """Where the kubelet reads a value; exactly one member is set."""

    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None


class EnvVar(Struct, frozen=True):
    """One variable, with a value, a source of it, or neither, which makes it empty."""

    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class EnvSource(Struct, frozen=True):
    """A ConfigMap or Secret, each key of which becomes a variable."""

    name: str
    optional: bool | None = None


class EnvFromSource(Struct, frozen=True):
    """An item of `envFrom`: one object, and the beginning of the names of its variables."""

    prefix: str = ""
    config_map_ref: EnvSource | None = None
    secret_ref: EnvSource | None = None
