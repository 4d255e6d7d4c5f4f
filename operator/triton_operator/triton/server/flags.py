"""The flags on Triton's command line in a serving pod, with the first release that has each flag, and the reasons.

Input: a release and the user's choices. Output: the arguments of `tritonserver`, which `resources` renders into the
pod. Triton exits on an unknown flag. Each flag therefore has the first release that supports it, and a server of
unknown release gets only the flags that every supported release has. The flags of `COMMON_SINCE` were tested together
with 2.51 (24.10); the first releases come from the option parser at each tag of triton-inference-server/server.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_METRICS
from triton_operator.api.spec import Endpoint, LogLevel
from triton_operator.triton.prepare_contract.request import MODELS_DIR
from triton_operator.triton.server.versions import Version

COMMON_SINCE = Version(24, 7)
"""The oldest supported release: the first with gRPC 1.54, which CLOSED requires. It has all flags in the table that do
not have a newer release."""

EXIT_TIMEOUT_SECONDS = 30
"""Default time that a terminating server waits for requests in flight; the pod's grace period must be longer."""

GRPC_CONNECTION_AGE_SECONDS = 10
"""Age at which the server asks a gRPC channel to reconnect, so that clients leave a terminating pod before it stops
listening."""

ADMIN_APIS = ("shared-memory", "model-config", "model-repository", "statistics", "trace", "logging")
"""API groups that clients do not need for inference; closed to all clients.

`trace` can write tensors to disk, `shared-memory` can map the memory of the Python backend, `logging` can change the
log, and `model-config` and `model-repository` expose how models are built. `statistics` shows every client the request
counts of all others; the metrics port has its own access rules for that.
"""

_GROUPS = {Endpoint.STATISTICS: "statistics", Endpoint.MODEL_CONFIG: "model-config"}
"""The groups that `spec.triton.openEndpoints` may open, because they are read-only and do not expose tensors."""

_EVERY_IPV4 = "0.0.0.0"  # noqa: S104 -- the pod's address is not known at rendering
_EVERY_IPV6 = "ipv6:::"
"""In the syntax of Triton's HTTP library, libevhtp. Triton 24.10 then accepts IPv6 only; it reads `::` as the IPv4
address 255.255.255.255, and has no HTTP address for both families. For gRPC, 0.0.0.0 means both families."""
_LOOPBACK = "127.0.0.1"

CLOSED = "CLOSED:TO-ALL=never"
"""The header, name=value, that Triton requires for access. No request can contain it, so there is no secret.

In HTTP/1.1, the name of a header ends at the first colon. In HTTP/2, a header name with capitals or colons is
malformed, and gRPC resets such a call; gRPC 1.48, in releases before COMMON_SINCE, does not. See docs/decisions.
"""


class Listening(NamedTuple):
    """Where the server accepts connections.

    `behind_proxy` is whether clients connect to the sidecar `proxy`; HTTP and gRPC then listen on loopback. `ipv6` is
    whether clients and Prometheus reach pods at IPv6 addresses.
    """

    behind_proxy: bool = False
    ipv6: bool = False


class Flag(NamedTuple):
    """One argument; `value` None is a flag without a value, `since` is the first release that supports it."""

    name: str
    value: str | None
    reason: str
    since: Version = COMMON_SINCE

    def argument(self) -> str:
        """The flag as an argument of Triton's command line."""
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


_CONNECTION_AGE = Flag(
    "grpc-max-connection-age",
    str(GRPC_CONNECTION_AGE_SECONDS * 1000),
    "Milliseconds. No grace period: it would interrupt calls.",
)
"""Only for clients that connect to the server itself: the sidecar `proxy` limits the age of its connections."""

_EXIT_TIMEOUT = Flag("exit-timeout-secs", str(EXIT_TIMEOUT_SECONDS), "Requests in flight may finish.")

FIXED = (
    Flag("model-repository", MODELS_DIR, "The folder that `prepare` fills."),
    Flag("model-control-mode", "none", "Loading models on request would let clients run code."),
    Flag("disable-auto-complete-config", None, "Auto-completion starts each model twice: 6.1 s instead of 2.0 s."),
    Flag("exit-on-error", "true", "A model that does not load must fail the pod and report its reason."),
    Flag("strict-readiness", "true", "The server is ready only if every model is ready."),
    _EXIT_TIMEOUT,
    _CONNECTION_AGE,
    Flag("allow-http", "true", "Health checks use HTTP."),
    Flag("allow-grpc", "true", "Both protocols are served."),
    Flag("allow-sagemaker", "false", "The endpoint bypasses the restrictions."),
    Flag(
        "allow-vertex-ai",
        "false",
        "The endpoint bypasses the restrictions; AIP_MODE in the environment would enable it.",
    ),
    Flag("allow-client-shm", "false", "Clients are in other pods and cannot share memory.", Version(26, 4)),
    Flag("allow-metrics", "true", "On a port of its own, which a policy can close."),
    Flag("allow-cpu-metrics", "false", "They describe the whole node, including other tenants."),
)
"""Flags that are the same for every pod without the sidecar `proxy`, with the default of `exit-timeout-secs`."""

_RESPONSE_CACHE = Flag(
    "cache-config", f"local,size={64 << 20}", "A model has responseCache, which has no effect without a cache."
)
"""64 MiB of the server's memory; `spec.triton.extraArgs` may override it."""


def own_flags() -> list[Flag]:
    """Every flag that the operator sets for any pod, with or without a GPU."""
    return [
        *FIXED,
        *_restrictions(()),
        *_listeners("", "", ""),
        *_logging(LogLevel.WARNING),
        *_devices(gpu=True),
        *_devices(gpu=False),
    ]


def server_flags(
    version: Version | None,
    *,
    log_level: str,
    gpu: bool,
    response_cache: bool = False,
    open_endpoints: Collection[Endpoint] = (),
    listening: Listening = Listening(),  # noqa: B008 -- immutable
    exit_timeout: int = EXIT_TIMEOUT_SECONDS,
) -> list[Flag]:
    """The flags of a server of this release, in the order of its command line; raises ValueError for a wrong log level.

    `version` is None for an image of unknown release. `log_level` is a LogLevel; below Info, the log of a failed start
    fits into the 2048 bytes of a termination message. `response_cache` is whether any model requests one.
    `open_endpoints` are the groups that stay open to clients. `exit_timeout` is in seconds.
    """
    every = _EVERY_IPV6 if listening.ipv6 else _EVERY_IPV4
    fixed = [flag for flag in FIXED if not (listening.behind_proxy and flag is _CONNECTION_AGE)]
    flags = [
        *(flag._replace(value=str(exit_timeout)) if flag is _EXIT_TIMEOUT else flag for flag in fixed),
        *_restrictions(open_endpoints),
        *_listeners(
            http=_LOOPBACK if listening.behind_proxy else every,
            grpc=_LOOPBACK if listening.behind_proxy else _EVERY_IPV4,
            metrics=every,
        ),
        *_logging(log_level),
        *_devices(gpu=gpu),
        *([_RESPONSE_CACHE] if response_cache else []),
    ]
    return [flag for flag in flags if _known(flag, version)]


def _known(flag: Flag, version: Version | None) -> bool:
    return flag.since <= (version or COMMON_SINCE)


def _restrictions(open_endpoints: Collection[Endpoint]) -> list[Flag]:
    """The closed APIs, for both protocols; there is one group, because an API must not be in several."""
    opened = {_GROUPS[endpoint] for endpoint in open_endpoints}
    closed = (group for group in ADMIN_APIS if group not in opened)
    restriction = f"{','.join(closed)}:{CLOSED}"
    return [
        Flag(
            "http-restricted-api",
            restriction,
            "Clients do not need administration APIs; see spec.triton.openEndpoints.",
        ),
        Flag(
            "grpc-restricted-protocol",
            restriction,
            "Clients do not need administration APIs; see spec.triton.openEndpoints.",
        ),
    ]


def _listeners(http: str, grpc: str, metrics: str) -> list[Flag]:
    return [
        Flag("http-address", http, "The address for clients."),
        Flag("http-port", str(PORT_HTTP), "Named in Services and policies."),
        Flag("grpc-address", grpc, "The address for clients."),
        Flag("grpc-port", str(PORT_GRPC), "Named in Services and policies."),
        Flag("metrics-address", metrics, "Set explicitly; otherwise follows the HTTP address."),
        Flag("metrics-port", str(PORT_METRICS), "Named in Services and policies."),
    ]


def _logging(log_level: str) -> list[Flag]:
    """Log errors always, and verbose messages never, because they contain memory addresses and requests."""
    level = LogLevel(log_level)
    return [
        Flag("log-error", "true", "The reason for a failed start."),
        Flag("log-warning", _boolean(value=level is not LogLevel.ERROR), "spec.triton.logLevel decides."),
        Flag(
            "log-info",
            _boolean(value=level is LogLevel.INFO),
            "At Info, the startup table pushes the error out of the termination message.",
        ),
        Flag("log-verbose", "0", "Not for production."),
    ]


def _devices(*, gpu: bool) -> list[Flag]:
    """Flags for GPU features. Without a GPU, they prevent two of four error lines at each start; the others remain."""
    if gpu:
        return [Flag("allow-gpu-metrics", "true", "GPU utilization is useful if there is a GPU.")]
    return [
        Flag("allow-gpu-metrics", "false", "Without a GPU, the GPU metrics library only logs errors."),
        Flag("pinned-memory-pool-byte-size", "0", "Without a GPU, the pool cannot be allocated, which logs a warning."),
    ]


def _boolean(*, value: bool) -> str:
    return "true" if value else "false"
