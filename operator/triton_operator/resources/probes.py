"""The startup, readiness and liveness probes of a serving pod.

With the sidecar `proxy`, Triton listens on loopback, which the kubelet cannot reach. The probes then go through the
proxy's listener for health checks.

Pure. Input: a spec. Output: the probes of the Triton container. `pod` adds them to the container, and `reconcile` uses
the startup timeout.
"""

from __future__ import annotations

from triton_operator.api.names import PORT_HEALTH
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest
from triton_operator.resources.tls import terminates_tls

STARTUP_SECONDS = 600
"""Default startup timeout; large models take minutes to load."""


def startup_seconds(spec: Spec) -> int:
    """Maximum time from the start of the server until every model is loaded."""
    return spec.lifecycle.startup_timeout_seconds or STARTUP_SECONDS


def build_probes(spec: Spec) -> Manifest:
    """The three probes, as members of a container."""
    # A name would have to be that of a port of the same container.
    port = PORT_HEALTH if terminates_tls(spec) else "http"
    return {
        "startupProbe": _probe("/v2/health/ready", port, period=1, failures=startup_seconds(spec), timeout=1, grace=5),
        "readinessProbe": _probe("/v2/health/ready", port, period=2, failures=2, timeout=2),
        "livenessProbe": _probe("/v2/health/live", port, period=10, failures=3, timeout=5, grace=5),
    }


def _probe(
    path: str, port: int | str, *, period: int, failures: int, timeout: int, grace: int | None = None
) -> Manifest:
    probe: Manifest = {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }
    if grace is not None:
        # A server that fails this probe cannot drain, so it is killed quickly.
        probe["terminationGracePeriodSeconds"] = grace
    return probe
