"""Measure the time from `kubectl apply` to a ready model, with TLS and without it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.benchmarks.costs import Costs, Scale
from tests.e2e.start_times import median_start_times
from tests.kube import Kube, Object

ROUNDS = 5
MODES = {"with TLS": "Managed", "without TLS": "Disabled"}


@pytest.mark.timeout(900)
def bench_apply_to_ready(kube: Kube, model_deployment: Callable[..., Object], costs: Costs) -> None:
    """The first round, which is not measured, creates the authority."""
    bodies = {name: model_deployment("digits", privacy={"tls": {"mode": mode}}) for name, mode in MODES.items()}
    for name, body in bodies.items():
        body["metadata"]["name"] = f"quick-{MODES[name].lower()}"
    medians = median_start_times(kube, costs, bodies, ROUNDS)
    for name, seconds in medians.items():
        costs.add(f"from apply to Ready, digits, {name}", seconds * 1000, "ms", Scale.CLOCK)
    costs.add("from apply to Ready, with TLS against without it", medians["with TLS"] / medians["without TLS"], "times")
