"""Measure the CPU time of a warm start of `tritonctl run`."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.benchmarks.costs import Costs, Scale
from tests.local.session import User

DIGITS = Path(__file__).parents[2] / "model_repository" / "digits"


@pytest.mark.timeout(900)  # The first start may download the server.
def bench_warm_start(user: User, costs: Costs) -> None:
    """Report the minimum of three starts, because the first may download the server."""
    spent = []
    for _ in range(3):
        with user.serving(DIGITS) as serving:
            spent.append(serving.cpu_seconds() * 1000)
            costs.sample()
            serving.end(signal.SIGINT)
    costs.add("tritonctl run, until ready", min(spent), "CPU-ms", Scale.CPU)
