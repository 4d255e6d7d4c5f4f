"""The figures of `make bench-tls` are those of the load generator, the kernel and the targets."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.benchmarks import h2load
from tests.benchmarks.h2load import Load
from tests.benchmarks.processes import cpu_seconds, memory, on_cpu, tree
from tests.benchmarks.targets import at_most, target_lines
from tests.benchmarks.tls_table import PLAIN, TLS, TOKEN, Case, targets
from tests.benchmarks.windows import Window, medians, ratios

DIGITS = Case("digits", "HTTP", 32)
ALONE = Case("digits", "HTTP", 1)


def windows(per_second: float, latency: float = 1.0) -> list[Window]:
    """Two equal rounds."""
    return [Window(per_second, latency, 100.0, 20.0)] * 2


def test_the_first_tenth_of_the_requests_is_not_measured() -> None:
    """The first of these ten takes a second, each other one 2 ms, one after the other."""
    lines = ["0\t200\t1000000", *(f"{1_000_000 + 2000 * index}\t200\t2000" for index in range(9))]
    assert h2load.measured("\n".join(reversed(lines)) + "\n") == Load(500.0, 2.0)


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """A round that other load has disturbed for both routes does not change it."""
    plain = [Window(speed, 2.0, 50.0, 0.0) for speed in (1000, 100, 1000)]
    tls = [Window(speed, 3.0, 100.0, 40.0) for speed in (800, 80, 700)]
    assert ratios(tls, plain) == Window(0.8, 1.5, 2.0, 0.0)
    assert medians(tls) == Window(700, 3.0, 100.0, 40.0)


def test_a_missed_target_is_reported() -> None:
    """Throughput with many requests in flight, latency with one, and memory."""
    results = {
        DIGITS: {PLAIN: windows(1000), TLS: windows(750), TOKEN: windows(690)},
        ALONE: {PLAIN: windows(100, 1.0), TLS: windows(10, 1.29), TOKEN: windows(10, 9.0)},
    }
    found = targets(results, {TLS: 61_000_000, TOKEN: 60_000_000})
    assert [(target.value, target.limit, target.met) for target in found] == [
        ("0.75", ">= 0.75", True),
        ("0.69", ">= 0.7", False),
        ("+0.29 ms", "<= +0.3 ms", True),
        ("61 MB", "<= 60 MB", False),
        ("60 MB", "<= 60 MB", True),
    ]
    assert [line.split()[-1] for line in target_lines(found)] == ["met", "MISSED", "met", "MISSED", "met"]


def test_a_value_may_reach_its_limit_and_not_exceed_it() -> None:
    found = [at_most("p99", 2.0, 2, "x"), at_most("refused", 5.01, 5, "s")]
    assert target_lines(found) == [
        "p99         2.00 x      <= 2 x  met",
        "refused     5.01 s      <= 5 s  MISSED",
    ]


def test_other_models_have_no_target_for_throughput() -> None:
    results = {Case("text", "HTTP", 32): {PLAIN: windows(1000), TLS: windows(1), TOKEN: windows(1)}}
    assert targets(results, {}) == []


@pytest.mark.timeout(300)
def test_the_descendants_of_a_process_count() -> None:
    """The child of a shell uses CPU time and memory."""
    child = "x = b'x' * 50_000_000\nfor _ in range(3_000_000): pass\nprint(flush=True)\ninput()"
    shell = ["sh", "-c", 'python3 -c "$0"; true', child]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        assert len(tree(process.pid)) == 2
        assert cpu_seconds(process.pid) > 0
        assert 50e6 < memory(process.pid) < 200e6
        process.communicate(b"\n")


def test_only_the_processes_of_the_block_are_bound_to_a_cpu() -> None:
    before = os.sched_getaffinity(0)
    cpu = max(before)
    show = ["python3", "-c", "import os; print(os.sched_getaffinity(0))"]
    with on_cpu(cpu):
        assert subprocess.check_output(show, text=True) == f"{{{cpu}}}\n"
    assert os.sched_getaffinity(0) == before
