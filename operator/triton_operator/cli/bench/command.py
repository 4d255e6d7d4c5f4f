"""`tritonctl bench`: measure the throughput and latency of a deployment.

Input: a name, the number of connections and a duration; random inputs by default, or inputs as for `infer`. Output:
requests per second and latencies. The load is as high as the connections allow, so other clients are affected.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.cli.bench.result import print_result, summarize
from triton_operator.cli.cluster.server import ServerConnection
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.options import (
    CAFile,
    CertFile,
    Context,
    KeyFile,
    Kubeconfig,
    ModelName,
    Name,
    Namespace,
    Output,
    RequestTimeout,
    ServerName,
    ServiceAccount,
    TokenFile,
    Url,
    WireProtocol,
    access_options,
    kube_context,
)
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import print_data
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.errors import InferenceError, UnreachableError

if TYPE_CHECKING:
    from triton_operator.cli.bench.wire import Connect
    from triton_operator.sdk.protocol_json import RequestBody

EPILOG = """\b
Examples:
  tritonctl bench digits
  tritonctl bench digits --connections 32 --duration 30 --batch 8 --protocol grpc
  tritonctl bench chinese-texts --text 我爱你 -o json
  tritonctl bench digits --url 127.0.0.1:8000
\b
Each connection sends the next request when it has received the response to the previous one. Requests during
--warm-up are not counted. On Ctrl-C, the results so far are printed. Through `kubectl port-forward`, only one pod is
measured, and the latencies include kubectl's overhead; to measure the server alone, run this inside the cluster with
--url. The load affects other clients.
"""
MOST_SECONDS = 300
INTERRUPTED = 130


def bench(
    name: Name,
    namespace: Namespace = "",
    model: ModelName = "",
    connections: Annotated[
        int,
        typer.Option(
            "--connections",
            "-c",
            metavar="N",
            min=1,
            max=256,
            help="Number of connections; each sends one request at a time.",
        ),
    ] = 8,
    duration: Annotated[
        float,
        typer.Option("--duration", "-d", metavar="SECONDS", min=0.5, max=MOST_SECONDS, help="How long to measure."),
    ] = 10,
    warm_up: Annotated[
        float,
        typer.Option("--warm-up", metavar="SECONDS", min=0, max=60, help="How long to send requests before measuring."),
    ] = 2,
    batch: Annotated[
        int, typer.Option("--batch", "-b", metavar="ROWS", min=1, help="Rows per request with random inputs.")
    ] = 1,
    input_files: Annotated[
        list[Path] | None,
        typer.Option("--input", "-i", metavar="FILE", help="File to send instead of random inputs, as for infer."),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", "-t", metavar="TEXT", help="Text to send instead of random inputs; repeatable."),
    ] = None,
    protocol: WireProtocol = Protocol.HTTP,
    output: Output = OutputFormat.TABLE,
    url: Url = "",
    timeout: RequestTimeout = 30,
    ca_file: CAFile = "",
    server_name: ServerName = "",
    token_file: TokenFile = "",
    service_account: ServiceAccount = "",
    cert: CertFile = "",
    key: KeyFile = "",
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Send requests for a given duration, and print the throughput and latencies.

    The exit status is 1 if a request failed, and 3 if the server is unreachable.
    """
    from triton_operator.cli.bench.load import END_SECONDS, run
    from triton_operator.cli.bench.wire import connections as opened

    access = access_options(ca_file, server_name, token_file, service_account, cert, key)
    cluster = kube_context(kubeconfig, context)
    with ServerConnection(name, namespace, protocol, url, cluster, timeout, access) as server:
        endpoint = server.endpoint
        requested, request = _request(server, model, input_files or [], texts or [], batch)
        connect = opened(endpoint, protocol, requested, request, timeout)
        _try(connect, endpoint, timeout)
        patience = timeout if protocol is Protocol.GRPC else END_SECONDS  # gRPC calls must not be cancelled.
        measured = run(connect, number=connections, warm_up=warm_up, seconds=duration, patience=patience)
        if measured.interrupted and not measured.latencies:
            raise typer.Exit(INTERRUPTED)
        result = summarize(measured, server, requested, connections, rows_of(request))
    if output is OutputFormat.TABLE:
        print_result(result)
    else:
        print_data(result, output)
    if measured.interrupted:
        raise typer.Exit(INTERRUPTED)
    if result.failed:
        raise CommandFailedError(f"{result.failed} of {result.failed + result.requests} requests failed")


def _request(
    server: ServerConnection, model: str, files: list[Path], texts: list[str], batch: int
) -> tuple[str, RequestBody]:
    """The name of the model and the request to send."""
    from triton_operator.cli.inputs.random_inputs import random_inputs
    from triton_operator.cli.inputs.read import read_input
    from triton_operator.sdk.protocol_json import RequestBody

    chosen = cache(lambda: server.choose_model(model))
    if files or texts:
        request = read_input(files, texts, lambda: server.interface(chosen())).request
        return model or request.model or chosen(), request
    return chosen(), RequestBody(random_inputs(server.interface(chosen()), batch))


def rows_of(request: RequestBody) -> int:
    """The number of rows of the request, if the first dimension is the batch."""
    return max((array.shape[0] for array in request.inputs.values() if array.ndim > 1), default=1)


def _try(connect: Connect, endpoint: ServerAddress, timeout: float) -> None:
    """Send one request first, so that an invalid request is reported once and not thousands of times."""
    errors = [f"TimeoutError: no response within {timeout:g} s"]

    def send_one() -> None:
        with connect() as send:
            errors.append(send())

    thread = threading.Thread(target=send_one, daemon=True)
    with spinner("sending a test request"):
        thread.start()
        thread.join(timeout + 1)
    error = errors[-1]
    if error.startswith(("UNAVAILABLE", "DEADLINE_EXCEEDED")) or (
        error and not error[0].isdigit() and "Error" in error
    ):
        raise UnreachableError(f"{endpoint.target} does not respond: {error}")
    if error:
        raise InferenceError(error)
