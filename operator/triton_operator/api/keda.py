"""The parts of KEDA's API (keda.sh/v1alpha1) that a ModelDeployment passes through or refers to.

The CLI checks triggers against `Trigger`, because no API server checks them offline. Fields are those of KEDA 2.21.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from triton_operator.api.struct import Struct

KEDA_API_VERSION = "keda.sh/v1alpha1"
SCALED_OBJECT = "ScaledObject"
LABEL_SCALED_OBJECT = "scaledobject.keda.sh/name"
"""KEDA sets this label of a ScaledObject to its name; the operator sets it first, so that nobody edits its object."""

RESOURCE_TRIGGERS = frozenset({"cpu", "memory"})
"""Triggers on the usage of the replicas themselves, which cannot start the first one."""
METRICS_API = "metrics-api"
"""The trigger that reads a number from a URL."""

OFFLINE_TRIGGERS = frozenset({"cron", "kubernetes-workload"}) | RESOURCE_TRIGGERS
"""Triggers that connect to nothing but the API server."""
ADDRESSES = {METRICS_API: "url", "prometheus": "serverAddress"}
"""Triggers that connect to exactly one address, and the parameter with this address."""

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=4096)]


class AuthenticationRef(Struct, frozen=True):
    """A TriggerAuthentication of the namespace; not a ClusterTriggerAuthentication, which may belong to others."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    kind: Literal["TriggerAuthentication"] | None = None


class Trigger(Struct, frozen=True):
    """An item of `triggers` of a ScaledObject."""

    type: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    metadata: Annotated[dict[str, _Text], msgspec.Meta(max_length=32)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=63)] | None = None
    metric_type: Literal["AverageValue", "Value", "Utilization"] | None = None
    use_cached_metrics: bool | None = None
    authentication_ref: AuthenticationRef | None = None


def keda_autoscaler_name(scaled_object: str) -> str:
    """The name of the HorizontalPodAutoscaler that KEDA creates for a ScaledObject."""
    return f"keda-hpa-{scaled_object}"
