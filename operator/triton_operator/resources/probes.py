"""Questions of the kubelet to a serving pod: whether it has started, may get requests, is alive.

Pure; a spec goes in, the probes of the Triton container leave. `pod` builds them into the container, `reconcile` asks
how long a start may take.
"""

from __future__ import annotations

from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest

STARTUP_SECONDS = 600
"""Budget of a start where nothing is said; big models load for minutes."""


def startup_seconds(spec: Spec) -> int:
    """How long the server may take from its start until every model answers."""
    return spec.lifecycle.startup_timeout_seconds or STARTUP_SECONDS


def build_probes(spec: Spec) -> Manifest:
    """The three probes, as members of a container."""
    return {
        "startupProbe": _probe("/v2/health/ready", period=1, failures=startup_seconds(spec), timeout=1, grace=5),
        "readinessProbe": _probe("/v2/health/ready", period=2, failures=2, timeout=2),
        "livenessProbe": _probe("/v2/health/live", period=10, failures=3, timeout=5, grace=5),
    }


def _probe(path: str, *, period: int, failures: int, timeout: int, grace: int | None = None) -> Manifest:
    probe: Manifest = {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }
    if grace is not None:
        # A server that is to be killed for being dead gets no time to drain.
        probe["terminationGracePeriodSeconds"] = grace
    return probe
