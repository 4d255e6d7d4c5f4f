"""The APIs of Triton that clients use: inference, health and metadata. All others administer the server.

Pure. The proxy admits no other requests, and nothing else is exposed outside the cluster.
"""

from __future__ import annotations

from collections.abc import Collection

from triton_operator.api.spec import Endpoint

GRPC_SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"
STREAM = f"/{GRPC_SERVICE}/ModelStreamInfer"

HTTP_ROOT = "/v2"
HTTP_PREFIXES = ("/v2/health", "/v2/models")
"""Paths below the metadata of the server, at HTTP_ROOT."""

_METHODS = (
    f"/{GRPC_SERVICE}/ServerLive",
    f"/{GRPC_SERVICE}/ServerReady",
    f"/{GRPC_SERVICE}/ModelReady",
    f"/{GRPC_SERVICE}/ServerMetadata",
    f"/{GRPC_SERVICE}/ModelMetadata",
    f"/{GRPC_SERVICE}/ModelInfer",
    STREAM,
    f"/{HEALTH_SERVICE}/Check",
)
_OPENED_METHODS = {
    Endpoint.MODEL_CONFIG: f"/{GRPC_SERVICE}/ModelConfig",
    Endpoint.STATISTICS: f"/{GRPC_SERVICE}/ModelStatistics",
}


def grpc_methods(opened: Collection[Endpoint]) -> tuple[str, ...]:
    """The paths of the gRPC methods, with those of the opened groups."""
    return (*_METHODS, *(name for group, name in _OPENED_METHODS.items() if group in opened))
