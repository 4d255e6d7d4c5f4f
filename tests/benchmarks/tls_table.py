"""The table of `make bench-tls`: each case on each route, and the targets.

Input: windows by case and route, and the memory of the sidecars. Output: lines of text. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tests.benchmarks.targets import Target
from tests.benchmarks.windows import Window, medians, ratios

PLAIN, TLS, TOKEN = "plain", "TLS", "TLS and token"
MINIMUM_THROUGHPUT = {TLS: 0.75, TOKEN: 0.7}
"""Of plain requests per second, for `digits` with 32 requests in flight."""
MAXIMUM_LATENCY = 0.3
"""Milliseconds that TLS may add to the median latency of one request at a time."""
MAXIMUM_MEMORY = 60e6
"""Bytes of one sidecar."""
_COLUMNS = ("route", "req/s", "x plain", "p50 ms", "+ms", "CPU µs", "x plain", "sidecar")


class Case(NamedTuple):
    """What the load generator sends."""

    model: str
    protocol: str
    in_flight: int

    def __str__(self) -> str:
        return f"{self.model}, {self.protocol}, {self.in_flight} in flight"


def table(results: Mapping[Case, Mapping[str, list[Window]]]) -> list[str]:
    """Medians of the rounds; a ratio is the median of the ratios of adjacent windows."""
    lines = []
    for case, routes in results.items():
        lines += ["", str(case), _line(*_COLUMNS)]
        plain = medians(routes[PLAIN])
        for name, windows in routes.items():
            each, relative = medians(windows), ratios(windows, routes[PLAIN])
            lines.append(
                _line(
                    name,
                    f"{each.per_second:.0f}",
                    f"{relative.per_second:.2f}",
                    f"{each.median:.2f}",
                    f"{each.median - plain.median:+.2f}",
                    f"{each.cpu:.0f}",
                    f"{relative.cpu:.2f}",
                    f"{each.sidecar:.0f}",
                )
            )
    return lines


def targets(results: Mapping[Case, Mapping[str, list[Window]]], memory: Mapping[str, int]) -> list[Target]:
    """The values for which there is a target."""
    found = []
    for case, routes in results.items():
        for name, least in MINIMUM_THROUGHPUT.items():
            if case.model == "digits" and case.in_flight > 1:
                value = ratios(routes[name], routes[PLAIN]).per_second
                found.append(Target(f"{case}: {name}", f"{value:.2f}", f">= {least}", value >= least))
        if case.in_flight == 1:
            added = medians(routes[TLS]).median - medians(routes[PLAIN]).median
            limit = f"<= +{MAXIMUM_LATENCY} ms"
            found.append(Target(f"{case}: p50 with TLS", f"{added:+.2f} ms", limit, added <= MAXIMUM_LATENCY))
    for name, size in memory.items():
        limit = f"<= {MAXIMUM_MEMORY / 1e6:.0f} MB"
        found.append(Target(f"memory, {name}", f"{size / 1e6:.0f} MB", limit, size <= MAXIMUM_MEMORY))
    return found


def _line(first: str, *rest: str) -> str:
    return f"  {first:<14}" + "".join(f"{each:>9}" for each in rest)
