"""`tritonctl top`: show the current activity of each model, from Triton's counters.

Input: a name. Output: a table that is redrawn on a terminal, or data. The metrics port of each pod is read through
`kubectl port-forward`, so network policies can stay closed. `rates` computes the difference between two scrapes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, Output, kube_context
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, print_data, print_json_line, table
from triton_operator.cli.top.rates import Figures, QuantileSource, rates

if TYPE_CHECKING:
    from rich.console import RenderableType

    from triton_operator.cli.top.scrapes import Pods

EPILOG = """\b
Examples:
  tritonctl top digits
  tritonctl top digits --interval 10
  tritonctl top digits --once -o json
\b
QUEUE is the average time that a request waited for a free instance. BATCH is the average number of rows per execution.
P50 and P99 are shown only if the server records them. To record them, set:
  spec: {triton: {extraArgs: [--metrics-config=summary_latencies=true]}}
"""
_NO_QUANTILES = (
    "no P50 and P99: this server does not record them "
    "(set spec.triton.extraArgs: [--metrics-config=summary_latencies=true]); MEAN is over the interval"
)
_SLOWEST = "P50 and P99: from the server's summary of recent requests, for the slowest pod"
_FIRST = "P50 and P99: time to the first response, from the server's histogram"


def top(
    name: Name,
    namespace: Namespace = "",
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=0.2, max=300, help="Time between two scrapes.")
    ] = 2,
    once: Annotated[bool, typer.Option("--once", help="Print once, after one interval, and exit.")] = False,
    output: Output = OutputFormat.TABLE,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="Read this metrics endpoint instead of port-forwarding.")
    ] = "",
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Show the request rate, latency, queue time and batch size of each model, until Ctrl-C.

    The exit status is 1 if no pod is ready, and 3 if no pod is reachable.
    """
    from triton_operator.cli.top.scrapes import Pods

    with Pods(kube_context(kubeconfig, context), name, namespace, url=url) as pods:
        intervals = _intervals(pods, interval)
        if output is OutputFormat.TABLE and sys.stdout.isatty() and not once:
            _draw(name, intervals)
            return
        for figures in intervals:
            _print(name, figures, output, once=once)
            if once:
                return


def _intervals(pods: Pods, interval: float) -> Iterator[list[Figures]]:
    """The figures of each interval, indefinitely."""
    before, at = pods.scrape(), time.monotonic()
    while True:
        time.sleep(interval)
        after, now = pods.scrape(), time.monotonic()
        yield rates(before, after, now - at)
        before, at = after, now


def _draw(name: str, intervals: Iterator[list[Figures]]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text(f"{name}: reading metrics …"), console=Console(highlight=False), auto_refresh=False) as live:
        live.refresh()
        for figures in intervals:
            live.update(render(figures), refresh=True)


def _print(name: str, figures: Sequence[Figures], output: OutputFormat, *, once: bool) -> None:
    if output is OutputFormat.TABLE:
        console().print(render(figures))
    elif once:
        print_data({"deployment": name, "models": list(figures)}, output)
    elif output is OutputFormat.JSON:
        print_json_line({"deployment": name, "models": list(figures)})
    else:
        sys.stdout.write("---\n")
        print_data({"deployment": name, "models": list(figures)}, output)
    sys.stdout.flush()


def render(figures: Sequence[Figures]) -> RenderableType:
    """The table, with notes about its columns below."""
    from rich.console import Group
    from rich.text import Text

    heads = ["MODEL", "VERSION", "PODS", "REQ/S", "FAIL/S", "MEAN", "P50", "P99", "QUEUE", "BATCH", "PENDING"]
    rows = [
        (
            each.model,
            each.version,
            str(each.pods),
            f"{each.requests_per_second:.1f}",
            f"{each.failures_per_second:.1f}",
            *(_milliseconds(value) for value in (each.mean_ms, each.p50_ms, each.p99_ms, each.queue_ms)),
            "-" if each.batch is None else f"{each.batch:.1f}",
            str(each.pending),
        )
        for each in figures
    ]
    sources = {each.quantiles_from for each in figures}
    notes = {None: _NO_QUANTILES, QuantileSource.SUMMARY: _SLOWEST, QuantileSource.FIRST_RESPONSE: _FIRST}
    shown = [Text(note, style="dim") for source, note in notes.items() if source in sources]
    return Group(table(heads, rows), *shown)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"
