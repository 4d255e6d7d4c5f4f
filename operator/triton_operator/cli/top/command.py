"""`tritonctl top`: what each model of a deployment does just now, from Triton's own counters.

Input: a name. Output: a table that is drawn again on a terminal, or data. Each pod's metrics port is reached by a
port-forward of kubectl's, so no network policy has to be opened for it; `rates` judges what two looks differ in.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, Output, kubectl
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, print_data, print_json_line, table
from triton_operator.cli.top.rates import Figures, Source, rates

if TYPE_CHECKING:
    from rich.console import RenderableType

    from triton_operator.cli.top.scrapes import Pods

EPILOG = """\b
Examples:
  tritonctl top digits
  tritonctl top digits --interval 10
  tritonctl top digits --once -o json
\b
QUEUE is how long a request waited for a free instance, BATCH how many rows went through the model at once, both on
average. p50 and p99 are shown where the server keeps them:
  spec: {triton: {extraArgs: [--metrics-config=summary_latencies=true]}}
"""
_NO_QUANTILES = (
    "no p50 and p99: this server keeps none (spec.triton.extraArgs: [--metrics-config=summary_latencies=true]); "
    "MEAN is over the interval"
)
_SLOWEST = "p50 and p99: the server's own summary of the last while, of the slowest pod"
_FIRST = "p50 and p99: until the first response, from the server's histogram"


def top(
    name: Name,
    namespace: Namespace = "",
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=0.2, max=300, help="Between two looks.")
    ] = 2,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print, and end.")] = False,
    output: Output = OutputFormat.TABLE,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="A metrics port to look at directly, as 127.0.0.1:8002.")
    ] = "",
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Show requests a second, latency, queue and batch size of each model, until Ctrl-C.

    Exit status 1 when there is no pod to look at, 3 when none answers.
    """
    from triton_operator.cli.top.scrapes import Pods

    with Pods(kubectl(kubeconfig, context), name, namespace, url=url) as pods:
        looks = _looks(pods, interval)
        if output is OutputFormat.TABLE and sys.stdout.isatty() and not once:
            _draw(name, looks)
            return
        for figures in looks:
            _print(name, figures, output, once=once)
            if once:
                return


def _looks(pods: Pods, interval: float) -> Iterator[list[Figures]]:
    """Figures for each interval, without end."""
    before, at = pods.scrape(), time.monotonic()
    while True:
        time.sleep(interval)
        after, now = pods.scrape(), time.monotonic()
        yield rates(before, after, now - at)
        before, at = after, now


def _draw(name: str, looks: Iterator[list[Figures]]) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(
        Text(f"{name}: looking for the first time …"), console=Console(highlight=False), auto_refresh=False
    ) as live:
        live.refresh()
        for figures in looks:
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
    """The table, and below it what its columns cannot say."""
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
    notes = {None: _NO_QUANTILES, Source.SUMMARY: _SLOWEST, Source.FIRST_RESPONSE: _FIRST}
    said = [Text(note, style="dim") for source, note in notes.items() if source in sources]
    return Group(table(heads, rows), *said)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"
