"""Measure the time from `kubectl apply` to a ready model, with TLS and without it.

Images are on the node and the page cache is warm, so the time is that of the operator, the kubelet and the containers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from tests.benchmarks.costs import Costs, Scale
from tests.kube import Kube, Object

ROUNDS = 5
MODES = {"with TLS": "Managed", "without TLS": "Disabled"}


@pytest.mark.timeout(900)
def bench_apply_to_ready(kube: Kube, model_deployment: Callable[..., Object], costs: Costs) -> None:
    """The modes alternate, so that other load on the machine affects both.

    An additional first round, which is not measured, warms the page cache and creates the authority.
    """
    took: dict[str, list[float]] = {mode: [] for mode in MODES}
    for number in range(ROUNDS + 1):
        for mode in sorted(MODES, reverse=number % 2 == 1):
            costs.sample()
            body = model_deployment("digits", privacy={"tls": {"mode": MODES[mode]}})
            took[mode].append(_seconds_until_ready(kube, body, f"quick-{number}-{MODES[mode].lower()}"))
    medians = {mode: statistics.median(each[1:]) for mode, each in took.items()}
    for mode, seconds in medians.items():
        costs.add(f"from apply to Ready, digits, {mode}", seconds * 1000, "ms", Scale.CLOCK)
    costs.add("from apply to Ready, with TLS against without it", medians["with TLS"] / medians["without TLS"], "times")


def _seconds_until_ready(kube: Kube, body: Object, name: str) -> float:
    """Create the deployment, and delete it after it has become ready."""
    body["metadata"]["name"] = name
    start = time.perf_counter()
    kube.apply(body)
    kube.wait_ready(name)
    seconds = time.perf_counter() - start
    kube.delete("modeldeployment", name)
    return seconds
