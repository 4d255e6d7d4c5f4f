"""`tritonctl bench`: how many requests a deployment answers, and how fast.

Input: a name, how many connections and how long; inputs are drawn from what the model declares, or given as for
`infer`. Output: requests a second and latencies. It loads the server as hard as it can: on a deployment that serves
others, these feel it.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.kubectl.server import Server
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, Output, kubectl
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, plain_text, print_data, table
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.address import Endpoint, Protocol
from triton_operator.sdk.errors import InferenceError, UnreachableError

if TYPE_CHECKING:
    from triton_operator.cli.bench.load import Measured
    from triton_operator.cli.bench.wire import Connect
    from triton_operator.sdk.protocol_json import RequestBody

EPILOG = """\b
Examples:
  tritonctl bench digits
  tritonctl bench digits --connections 32 --duration 30 --batch 8 --protocol grpc
  tritonctl bench chinese-texts --text 我爱你 -o json
  tritonctl bench digits --url 127.0.0.1:8000
\b
Each connection sends its next request when it has its answer. The first seconds (--warm-up) do not count. Ctrl-C ends
it at once and prints what there is. Through kubectl port-forward it measures one pod, and kubectl on the way: for the
server's own figures give its address with --url, from inside the cluster.
"""
MOST_SECONDS = 300
INTERRUPTED = 130
_BUSY = 0.9
"""Of one core: Python does not use more, and then the figures are its own."""
_MOST_SENTENCES = 5


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """The figures; times are milliseconds."""

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


def bench(
    name: Name,
    namespace: Namespace = "",
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="Model to load; needed when there are several.")
    ] = "",
    connections: Annotated[
        int, typer.Option("--connections", "-c", min=1, max=256, help="Requests under way at once.")
    ] = 8,
    duration: Annotated[
        float,
        typer.Option("--duration", "-d", metavar="SECONDS", min=0.5, max=MOST_SECONDS, help="How long it counts."),
    ] = 10,
    warm_up: Annotated[
        float, typer.Option("--warm-up", metavar="SECONDS", min=0, max=60, help="How long before that.")
    ] = 2,
    batch: Annotated[int, typer.Option("--batch", "-b", min=1, help="Rows of a request that is drawn.")] = 1,
    input_files: Annotated[
        list[Path] | None,
        typer.Option("--input", "-i", metavar="FILE", help="What to send instead, as for infer."),
    ] = None,
    texts: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="A text to send instead; repeat it.")
    ] = None,
    protocol: Annotated[Protocol, typer.Option("--protocol", "-p", help="How to ask.")] = Protocol.HTTP,
    output: Output = OutputFormat.TABLE,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="Go there directly; else through kubectl port-forward.")
    ] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long one answer may take.")
    ] = 30,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Load a deployment for a bounded time and print requests a second and latencies.

    Exit status 1 when a request failed, 3 when nothing answers.
    """
    from triton_operator.cli.bench.load import END_SECONDS, run
    from triton_operator.cli.bench.wire import connections as opened

    with Server(name, namespace, protocol, url, kubectl(kubeconfig, context), timeout) as server:
        endpoint = server.endpoint
        asked, request = _request(server, model, input_files or [], texts or [], batch)
        connect = opened(endpoint, protocol, asked, request, timeout)
        _try(connect, endpoint, timeout)
        patience = timeout if protocol is Protocol.GRPC else END_SECONDS  # A call of gRPC must not be cancelled.
        measured = run(connect, number=connections, warm_up=warm_up, seconds=duration, patience=patience)
        if measured.interrupted and not measured.latencies:
            raise typer.Exit(INTERRUPTED)
        result = summarize(measured, server, asked, connections, rows_of(request))
    if output is OutputFormat.TABLE:
        _print(result)
    else:
        print_data(result, output)
    if measured.interrupted:
        raise typer.Exit(INTERRUPTED)
    if result.failed:
        raise CommandFailedError(f"{result.failed} of {result.failed + result.requests} requests failed")


def _request(server: Server, model: str, files: list[Path], texts: list[str], batch: int) -> tuple[str, RequestBody]:
    """The model's name and what to send it."""
    from triton_operator.cli.inputs.random_inputs import random_inputs
    from triton_operator.cli.inputs.read import read_input
    from triton_operator.sdk.protocol_json import RequestBody

    chosen = cache(lambda: server.choose_model(model))
    if files or texts:
        request = read_input(files, texts, lambda: server.interface(chosen())).request
        return model or request.model or chosen(), request
    return chosen(), RequestBody(random_inputs(server.interface(chosen()), batch))


def rows_of(request: RequestBody) -> int:
    """Rows of the request, as far as the first dimension counts them."""
    return max((array.shape[0] for array in request.inputs.values() if array.ndim > 1), default=1)


def _try(connect: Connect, endpoint: Endpoint, timeout: float) -> None:
    """One request before the load: a mistake is told as such, not thousands of times."""
    said = [f"TimeoutError: no answer within {timeout:g} s"]

    def ask() -> None:
        with connect() as send:
            said.append(send())

    asking = threading.Thread(target=ask, daemon=True)
    with spinner("trying one request"):
        asking.start()
        asking.join(timeout + 1)
    error = said[-1]
    if error.startswith(("UNAVAILABLE", "DEADLINE_EXCEEDED")) or (
        error and not error[0].isdigit() and "Error" in error
    ):
        raise UnreachableError(f"{endpoint.target} does not answer: {error}")
    if error:
        raise InferenceError(error)


def summarize(measured: Measured, server: Server, model: str, connections: int, rows: int) -> Result:
    """The figures out of the latencies; raises CommandFailedError where no answer came in the time that counts."""
    latencies = sorted(1000 * each for each in measured.latencies)
    errors = dict(measured.errors.most_common(_MOST_SENTENCES))
    if not latencies:
        said = f": {next(iter(errors))}" if errors else "; give it a longer --duration"
        raise CommandFailedError(f"no answer in the time that counts{said}")
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
    """The smallest of sorted values that so many percent do not exceed."""
    return round(values[max(0, -(-len(values) * percent // 100) - 1)], 3)


def _print(result: Result) -> None:
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
    rows = f"{result.rows} row{'s' if result.rows > 1 else ''} a request"
    how = f"{result.connections} connections over {result.protocol.name} for {result.seconds:.1f} s, {rows}"
    out.print()
    out.print(plain_text(f"{result.model}: {how}"))
    for sentence, count in result.errors.items():
        out.print(plain_text(f"{count} times: {sentence}"))
    if result.forwarded:
        out.print(Text("Through kubectl port-forward: one pod, and kubectl on the way.", style="dim"))
    if result.client_cores > _BUSY:
        out.print(Text(f"This program needed {result.client_cores:.1f} cores: the server may do more.", style="dim"))
