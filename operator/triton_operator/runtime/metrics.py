"""Prometheus metrics of the operator. No label names an object, so the number of series is constant.

`Metrics` belongs to one process. Gauges read their source when they are scraped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class Metrics:
    """Counters, a histogram, and gauges that read their values from functions."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.reconcile_seconds = Histogram(
            "triton_operator_reconcile_seconds",
            "Duration of one pass over a deployment, by result.",
            ["result"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "triton_operator_api_requests",
            "Requests to the API server; code 0 means no response.",
            ["verb", "kind", "code"],
            registry=self._registry,
        )
        self._unreadable = Counter(
            "triton_operator_unreadable_objects",
            "Objects that could not be decoded and were skipped; the log has their names.",
            ["kind"],
            registry=self._registry,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}

    def api_request(self, verb: str, kind: str, code: int) -> None:
        """Count one request."""
        counter = self._counters.get((verb, kind, code))
        if counter is None:  # looking it up by labels costs more than counting
            counter = self._counters[verb, kind, code] = self._requests.labels(verb, kind, str(code))
        counter.inc()

    def unreadable(self, kind: str) -> None:
        """Count an object that was skipped."""
        self._unreadable.labels(kind).inc()

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Publish the result of `read` as `triton_operator_<name>`."""
        Gauge(f"triton_operator_{name}", description, registry=self._registry).set_function(read)

    def gauges(self, name: str, description: str, label: str, read: Mapping[str, Callable[[], float]]) -> None:
        """Publish one gauge per value of `label`."""
        gauge = Gauge(f"triton_operator_{name}", description, [label], registry=self._registry)
        for value, function in read.items():
            gauge.labels(value).set_function(function)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)
