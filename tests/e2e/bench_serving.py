"""Measure the time from `kubectl apply` to a ready model.

Images are on the node and the page cache is warm, so the time is that of the operator, the kubelet and Triton.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tests.benchmarks.costs import Costs, Scale
from tests.kube import Kube, Object

ROUNDS = 5


def bench_apply_to_ready(kube: Kube, model_deployment: Callable[..., Object], costs: Costs) -> None:
    """An additional first round, which is not measured, warms the page cache."""
    took = []
    for number in range(ROUNDS + 1):
        body = model_deployment("digits")
        body["metadata"]["name"] = f"quick-{number}"
        costs.sample()
        start = time.perf_counter()
        kube.apply(body)
        kube.wait_ready(f"quick-{number}")
        took.append(time.perf_counter() - start)
        kube.delete("modeldeployment", f"quick-{number}")
    costs.add("from apply to Ready, digits", statistics.median(took[1:]) * 1000, "ms", Scale.CLOCK)
