"""Command line of Triton: which flags a serving pod gets, since which release they exist, and why.

A release and what the user chose go in, the arguments after `tritonserver` leave; `resources` renders them into the
pod. Triton exits on a flag that it does not know, so each flag carries the first release that has it, and a server of
unknown version gets only those that every supported release has. All of `COMMON_SINCE`'s were seen working together
on 2.51 (24.10); first releases were read from the option parser at each tag of triton-inference-server/server.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_METRICS
from triton_operator.api.spec import Endpoint, LogLevel
from triton_operator.triton.prepare_contract.request import MODELS_DIR
from triton_operator.triton.server.versions import Version

COMMON_SINCE = Version(24, 7)
"""The oldest release that is supported: the first with gRPC 1.54, without which CLOSED does not close. It has all flags
that are not newer by name in the table."""

EXIT_TIMEOUT_SECONDS = 30
"""How long a stopping server waits for requests in flight; the pod's grace period must be longer."""

GRPC_CONNECTION_AGE_SECONDS = 10
"""After this a gRPC channel is asked to reconnect, so that clients leave an ending pod before it stops listening."""

ADMIN_APIS = ("shared-memory", "model-config", "model-repository", "statistics", "trace", "logging")
"""API groups that a caller of predictions has no use for, closed to everybody.

`trace` can be told to write tensors to disk, `shared-memory` to map the Python backend's own memory, `logging` to
change what is logged, `model-config` and `model-repository` to tell how models are built. `statistics` shows every
caller how much all others call; who may see that is the metrics port's question.
"""

_GROUPS = {Endpoint.STATISTICS: "statistics", Endpoint.MODEL_CONFIG: "model-config"}
"""Those of them that only tell, and no tensor: `spec.triton.openEndpoints` may open these, and no other."""

CLOSED = "CLOSED:TO-ALL=never"
"""The header, name=value, with which Triton would let a caller in. No request can carry it, so there is no secret.

In HTTP/1.1 the name of a header ends at its first colon. In HTTP/2 capitals and colons make a header malformed, and
gRPC resets such a call; gRPC 1.48, in releases before COMMON_SINCE, does not. See docs/decisions.
"""


class Flag(NamedTuple):
    """One argument; `value` None is a bare switch, `since` the first release that knows it."""

    name: str
    value: str | None
    reason: str
    since: Version = COMMON_SINCE

    def argument(self) -> str:
        """The flag as Triton's command line wants it."""
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


FIXED = (
    Flag("model-repository", MODELS_DIR, "The tree that `prepare` laid out."),
    Flag("model-control-mode", "none", "Loading a model on request is running code on request."),
    Flag("disable-auto-complete-config", None, "Auto-completion starts each model twice: 6.1 s instead of 2.0 s."),
    Flag("exit-on-error", "true", "A model that does not load must fail the pod and report its reason."),
    Flag("strict-readiness", "true", "The server is ready only if every model is ready."),
    Flag("exit-timeout-secs", str(EXIT_TIMEOUT_SECONDS), "Requests in flight may finish."),
    Flag(
        "grpc-max-connection-age",
        str(GRPC_CONNECTION_AGE_SECONDS * 1000),
        "Milliseconds. No grace, because it interrupts calls.",
    ),
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
"""Flags that are the same for every pod."""


_RESPONSE_CACHE = Flag(
    "cache-config", f"local,size={64 << 20}", "A model has responseCache, which has no effect without a cache."
)
"""64 MiB of the server's memory; `spec.triton.extraArgs` may say otherwise."""


def own_flags() -> list[Flag]:
    """Every flag that some pod gets, those of pods with and without a GPU."""
    return [
        *FIXED,
        *_restrictions(()),
        *_listeners("", ""),
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
    address: str = "0.0.0.0",  # noqa: S104 -- a pod listens on its own address, which it does not know here
    metrics_address: str | None = None,
) -> list[Flag]:
    """Flags of a server of this release, in the order of its command line.

    `version` None stands for an image of unknown release. `log_level` is a LogLevel; with less than Info a failed
    start fits into the 2048 bytes of a termination message. `response_cache`: some model asks for one.
    `open_endpoints` are not closed to callers. `address` is
    where HTTP and gRPC listen, `metrics_address` where metrics do when that differs. Raises ValueError on another log
    level.
    """
    flags = [
        *FIXED,
        *_restrictions(open_endpoints),
        *_listeners(address, metrics_address or address),
        *_logging(log_level),
        *_devices(gpu=gpu),
        *([_RESPONSE_CACHE] if response_cache else []),
    ]
    return [flag for flag in flags if _known(flag, version)]


def _known(flag: Flag, version: Version | None) -> bool:
    return flag.since <= (version or COMMON_SINCE)


def _restrictions(open_endpoints: Collection[Endpoint]) -> list[Flag]:
    """What is closed, for both protocols. An API may be in one group only, so there is one group."""
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


def _listeners(address: str, metrics_address: str) -> list[Flag]:
    return [
        Flag("http-address", address, "The address for clients."),
        Flag("http-port", str(PORT_HTTP), "Named in Services and policies."),
        Flag("grpc-address", address, "The address for clients."),
        Flag("grpc-port", str(PORT_GRPC), "Named in Services and policies."),
        Flag("metrics-address", metrics_address, "The default is the HTTP address."),
        Flag("metrics-port", str(PORT_METRICS), "Named in Services and policies."),
    ]


def _logging(log_level: str) -> list[Flag]:
    """Error lines always; verbose lines never, as they name addresses of memory and requests."""
    level = LogLevel(log_level)
    return [
        Flag("log-error", "true", "The reason of a failed start."),
        Flag("log-warning", _boolean(value=level is not LogLevel.ERROR), "spec.triton.logLevel decides."),
        Flag("log-info", _boolean(value=level is LogLevel.INFO), "At Info the options table hides the reason."),
        Flag("log-verbose", "0", "Not for production."),
    ]


def _devices(*, gpu: bool) -> list[Flag]:
    """What a pod without GPU would only complain about: of four lines at each start two stay that no flag silences."""
    if gpu:
        return [Flag("allow-gpu-metrics", "true", "GPU utilization is useful if there is a GPU.")]
    return [
        Flag("allow-gpu-metrics", "false", "Without a GPU, its library only logs errors."),
        Flag("pinned-memory-pool-byte-size", "0", "Without a GPU, the pool cannot be allocated, which logs a warning."),
    ]


def _boolean(*, value: bool) -> str:
    return "true" if value else "false"
