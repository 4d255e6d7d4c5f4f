"""Measure several routes to one Triton in alternating windows, so that other load on the machine affects each of them.

Input: a server, routes to it, and a prepared request. Output: a Window for each route and round. Every window checks
that Triton has answered each of its requests with an inference.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import h2load
from tests.benchmarks.h2load import Request
from tests.benchmarks.inferences import inference_count
from tests.benchmarks.processes import cpu_seconds
from tests.local.session import Serving

ROUNDS = 5
WINDOW_SECONDS = 1.2
_CALIBRATION_REQUESTS = 300


class Route(NamedTuple):
    """A way to Triton: the addresses, further headers, and the process id of the sidecar, if there is one."""

    http: str
    grpc: str
    headers: tuple[str, ...] = ()
    pid: int | None = None


class Window(NamedTuple):
    """The result of one route in one round: requests per second, median latency in ms, CPU time in µs per request.

    The CPU time is that of Triton and the sidecar, and `sidecar` is the sidecar's part.
    """

    per_second: float
    median: float
    cpu: float
    sidecar: float


def measure(
    serving: Serving, routes: Mapping[str, Route], model: str, request: Request, in_flight: int, folder: Path
) -> dict[str, list[Window]]:
    """Send the request over each route in turn, ROUNDS times; a window takes about WINDOW_SECONDS."""
    first = next(iter(routes.values()))
    speed = _run(serving, first, model, request, _CALIBRATION_REQUESTS, in_flight, folder).per_second
    count = max(_CALIBRATION_REQUESTS, int(speed * WINDOW_SECONDS))
    found: dict[str, list[Window]] = {name: [] for name in routes}
    for _ in range(ROUNDS):
        for name, route in routes.items():
            found[name].append(_run(serving, route, model, request, count, in_flight, folder))
    return found


def medians(windows: Sequence[Window]) -> Window:
    """The median of each field over the rounds."""
    return Window(*(statistics.median(values) for values in zip(*windows, strict=True)))


def ratios(windows: Sequence[Window], plain: Sequence[Window]) -> Window:
    """The median over the rounds of the quotient of each field; 0 where the divisor is 0."""
    rounds = zip(windows, plain, strict=True)
    return medians([Window(*(a / b if b else 0.0 for a, b in zip(*pair, strict=True))) for pair in rounds])


def _run(
    serving: Serving, route: Route, model: str, request: Request, count: int, in_flight: int, folder: Path
) -> Window:
    address = route.grpc if request.grpc else route.http
    sent = request._replace(headers=request.headers + route.headers)
    inferences, server, sidecar = inference_count(serving.metrics, model), serving.cpu_seconds(), _sidecar(route)
    load = h2load.run(address, sent, count, in_flight, folder / "h2load.log")
    sidecar, server = _sidecar(route) - sidecar, serving.cpu_seconds() - server
    assert inference_count(serving.metrics, model) - inferences == count
    return Window(load.per_second, load.median, (server + sidecar) / count * 1e6, sidecar / count * 1e6)


def _sidecar(route: Route) -> float:
    return cpu_seconds(route.pid) if route.pid else 0.0
