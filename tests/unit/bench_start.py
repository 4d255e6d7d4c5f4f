"""The start of `tritonctl`, which users wait for at each completion and each typo."""

from __future__ import annotations

import resource
import subprocess
import sys

from tests.benchmarks.costs import Costs, Scale


def bench_help(costs: Costs) -> None:
    """The minimum of three, which excludes a cold cache."""

    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "triton_operator.cli", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000

    costs.add("tritonctl --help", min(cost() for _ in range(3)), "CPU-ms", Scale.CPU)
