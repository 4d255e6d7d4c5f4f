"""`tritonctl infer`: send one inference request.

Input: a deployment's name, and images, text, a table or JSON. Output: the output tensors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli.cluster.server import ServerConnection
from triton_operator.cli.options import (
    CAFile,
    CertFile,
    Context,
    Invert,
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
from triton_operator.cli.terminal.output import console, plain_text, print_data, table
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.address import Protocol

if TYPE_CHECKING:
    from triton_operator.sdk.prediction import Prediction
    from triton_operator.sdk.tensors import Array

EPILOG = """\b
Examples:
  tritonctl infer digits --input seven.png
  tritonctl infer chinese-texts --text 我爱你 --text "what a waste of time"
  tritonctl infer breast-cancer --input patients.csv -o json
  tritonctl infer linear-regression --input request.json --protocol grpc
  echo '[[5, 6]]' | tritonctl infer linear-regression --input -
\b
Images are detected by content or extension; other files by extension, or by content if the extension is unknown or
the data comes from a pipe:
  PNG, JPEG  one image; repeat --input for a batch. Converted to the model's shape: gray or RGB, resized, scaled to 0..1
  text       one string per line, for inputs of type BYTES
  CSV        one row per line; columns are matched to inputs by name, or in order if the model has one input
  JSON       a list for the only input, {"name": list} for several, or a complete KServe v2 request:
             {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [9, 10]}]}
\b
With --url, the cluster is not used, and NAME is the name of the model.
"""
_SHOWN = 10
_MOST_ROWS = 50


def infer(
    name: Name,
    input_files: Annotated[
        list[Path] | None,
        typer.Option("--input", "-i", metavar="FILE", help="Image, text, CSV or JSON file; - for standard input."),
    ] = None,
    texts: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Text to send; repeat for a batch.")
    ] = None,
    namespace: Namespace = "",
    model: ModelName = "",
    invert: Invert = False,
    protocol: WireProtocol = Protocol.HTTP,
    output: Output = OutputFormat.TABLE,
    url: Url = "",
    timeout: RequestTimeout = 60,
    ca_file: CAFile = "",
    server_name: ServerName = "",
    token_file: TokenFile = "",
    service_account: ServiceAccount = "",
    cert: CertFile = "",
    key: KeyFile = "",
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Send an inference request to a model and print its outputs.

    The exit status is 1 if the model rejects the request, 2 if an input is invalid, and 3 if the server is unreachable.
    """
    from triton_operator.cli.inputs.read import read_input

    access = access_options(ca_file, server_name, token_file, service_account, cert, key)
    cluster = kube_context(kubeconfig, context)
    with ServerConnection(name, namespace, protocol, url, cluster, timeout, access) as server:
        chosen = cache(lambda: server.choose_model(model))
        read = read_input(input_files or [], texts or [], lambda: server.interface(chosen()), invert=invert)
        request = read.request
        requested = model or request.model or chosen()
        client = server.client
        with spinner(f"waiting for {requested}"):
            prediction = client.infer(requested, request.inputs, request.outputs)
    if output is OutputFormat.TABLE:
        _print(prediction, protocol)
    else:
        print_data(to_data(prediction), output)


def to_data(prediction: Prediction) -> dict[str, Any]:
    """The response in the JSON form of the inference protocol."""
    from triton_operator.sdk.protocol_json import to_json

    return {
        "model_name": prediction.model,
        "model_version": prediction.version,
        "outputs": [to_json(name, array) for name, array in prediction.outputs.items()],
    }


def _print(prediction: Prediction, protocol: Protocol) -> None:
    from triton_operator.sdk.tensors import data_type

    out = console()
    rows = [
        (name, data_type(array, name), "x".join(map(str, array.shape)), values)
        for name, array in prediction.outputs.items()
        for values in _lines(name, array)
    ]
    out.print(table(["OUTPUT", "TYPE", "SHAPE", "VALUES"], rows))
    milliseconds = prediction.seconds * 1000
    version = f"{prediction.model} version {prediction.version}"
    out.print()
    out.print(plain_text(f"{version} responded over {protocol.name} in {milliseconds:.1f} ms"))


def _lines(name: str, array: Array) -> list[str]:
    """The values, one line per row of a batch."""
    if array.ndim < 2 or len(array) < 2:  # noqa: PLR2004 - fewer dimensions or rows are one line.
        return [_values(name, array)]
    lines = [_values(name, row) for row in array[:_MOST_ROWS]]
    return [*lines, f"… ({len(array)} rows)"] if len(array) > _MOST_ROWS else lines


def _values(name: str, array: Array) -> str:
    from triton_operator.sdk.protocol_json import to_json

    data = to_json(name, array)["data"]
    shown = ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in data[:_SHOWN])
    return shown + (f", … ({len(data)} values)" if len(data) > _SHOWN else "")
