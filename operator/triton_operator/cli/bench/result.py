"""The result of `tritonctl bench`: compute it from the measured latencies, and print it.

Input: the latencies and errors of `load`. Output: a `Result`, or a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from triton_operator.cli.cluster.server import ServerConnection
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.terminal.output import console, plain_text, table
from triton_operator.sdk.address import Protocol

if TYPE_CHECKING:
    from triton_operator.cli.bench.load import Measured

_BUSY = 0.9
"""Fraction of a core; above it, this Python program is the bottleneck."""
_MOST_ERRORS = 5


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """The results; times are in milliseconds."""

    deployment: str
    model: str
    protocol: Protocol
    connections: int
    rows: int
    seconds: float
    requests: int
    failed: int
    requests_per_second: float
    rows_per_second: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    errors: dict[str, int]
    forwarded: bool
    client_cores: float
    interrupted: bool


def summarize(measured: Measured, server: ServerConnection, model: str, connections: int, rows: int) -> Result:
    """Compute the results; raises CommandFailedError if there was no response during the measurement."""
    latencies = sorted(1000 * each for each in measured.latencies)
    errors = dict(measured.errors.most_common(_MOST_ERRORS))
    if not latencies:
        cause = f": {next(iter(errors))}" if errors else "; use a longer --duration"
        raise CommandFailedError(f"no response during the measurement{cause}")
    rate = len(latencies) / measured.seconds
    return Result(
        deployment=server.deployment,
        model=model,
        protocol=server.protocol,
        connections=connections,
        rows=rows,
        seconds=round(measured.seconds, 3),
        requests=len(latencies),
        failed=measured.errors.total(),
        requests_per_second=round(rate, 1),
        rows_per_second=round(rate * rows, 1),
        mean_ms=round(sum(latencies) / len(latencies), 3),
        p50_ms=percentile(latencies, 50),
        p90_ms=percentile(latencies, 90),
        p99_ms=percentile(latencies, 99),
        max_ms=round(latencies[-1], 3),
        errors=errors,
        forwarded=server.endpoint.forwarded,
        client_cores=round(measured.busy, 2),
        interrupted=measured.interrupted,
    )


def percentile(values: list[float], percent: int) -> float:
    """The percentile of sorted values, by the nearest-rank method."""
    return round(values[max(0, -(-len(values) * percent // 100) - 1)], 3)


def print_result(result: Result) -> None:
    """Print the figures as a table, and what they were measured with."""
    from rich.text import Text

    out = console()
    heads = ["REQ/S", "ROWS/S", "MEAN", "P50", "P90", "P99", "MAX", "REQUESTS", "FAILED"]
    times = (result.mean_ms, result.p50_ms, result.p90_ms, result.p99_ms, result.max_ms)
    figures = [
        f"{result.requests_per_second:.1f}",
        f"{result.rows_per_second:.1f}",
        *(f"{each:.2f} ms" for each in times),
    ]
    out.print(table(heads, [[*figures, str(result.requests), str(result.failed)]]))
    rows = f"{result.rows} row{'s' if result.rows > 1 else ''} per request"
    how = f"{result.connections} connections over {result.protocol.name} for {result.seconds:.1f} s, {rows}"
    out.print()
    out.print(plain_text(f"{result.model}: {how}"))
    for sentence, count in result.errors.items():
        out.print(plain_text(f"{count} times: {sentence}"))
    if result.forwarded:
        out.print(
            Text(
                "Measured through kubectl port-forward: one pod only, and the latencies include kubectl's overhead.",
                style="dim",
            )
        )
    if result.client_cores > _BUSY:
        out.print(Text(f"This client used {result.client_cores:.1f} CPU cores and may be the bottleneck.", style="dim"))
