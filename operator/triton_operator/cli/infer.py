"""`tritonctl infer`: predictions from a deployment, out of what one has at hand.

Input: a name, and pictures, texts, a table or JSON. Output: the output tensors.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli.kubectl.server import Server
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, Output, kubectl
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import console, plain_text, print_data, table
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.sdk.address import Protocol

if TYPE_CHECKING:
    from triton_operator.sdk.client import Prediction
    from triton_operator.sdk.tensors import Array

EPILOG = """\b
Examples:
  tritonctl infer digits --input seven.png
  tritonctl infer chinese-texts --text 我爱你 --text "what a waste of time"
  tritonctl infer breast-cancer --input patients.csv -o json
  tritonctl infer linear-regression --input request.json --protocol grpc
  echo '[[5, 6]]' | tritonctl infer linear-regression --input -
\b
What a file is shows by its content, then by its ending:
  PNG, JPEG  one picture; repeat --input for a batch. Grey or RGB, resized, 0 to 1, as the model declares
  text       one text a line, for a model that takes BYTES
  CSV        one row a line; columns called like the inputs, or all of them in order for one input
  JSON       lists for the one input, {"name": lists} for several, or a whole request of the KServe v2 protocol:
             {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [9, 10]}]}
"""
_SHOWN = 10
_MOST_ROWS = 50


def infer(
    name: Name,
    input_files: Annotated[
        list[Path] | None,
        typer.Option("--input", "-i", metavar="FILE", help="Picture, text, CSV or JSON; - is standard input."),
    ] = None,
    texts: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="A text; repeat it for a batch.")
    ] = None,
    namespace: Namespace = "",
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="Model to ask; needed when there are several.")
    ] = "",
    invert: Annotated[bool, typer.Option("--invert", help="Dark on light becomes light on dark, in pictures.")] = False,
    protocol: Annotated[Protocol, typer.Option("--protocol", "-p", help="How to ask.")] = Protocol.HTTP,
    output: Output = OutputFormat.TABLE,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="Go there directly; else through kubectl port-forward.")
    ] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for the answer.")
    ] = 60,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Ask a deployment for predictions and print its outputs.

    Exit status 1 when the model refuses, 2 when the file cannot be sent, 3 when nothing answers.
    """
    from triton_operator.cli.inputs.read import read_input

    with Server(name, namespace, protocol, url, kubectl(kubeconfig, context), timeout) as server:
        chosen = cache(lambda: server.choose_model(model))
        read = read_input(input_files or [], texts or [], lambda: server.interface(chosen()), invert=invert)
        request = read.request
        asked = model or request.model or chosen()
        client = server.client
        with spinner(f"{asked} works"):
            prediction = client.infer(asked, request.inputs, request.outputs)
    if output is OutputFormat.TABLE:
        _print(prediction, protocol)
    else:
        print_data(to_data(prediction), output)


def to_data(prediction: Prediction) -> dict[str, Any]:
    """The answer as JSON of the inference protocol."""
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
    out.print(plain_text(f"{version} answered over {protocol.name} in {milliseconds:.1f} ms"))


def _lines(name: str, array: Array) -> list[str]:
    """The values, a line for each row of a batch."""
    if array.ndim < 2 or len(array) < 2:  # noqa: PLR2004 - rows of values; else there is one line.
        return [_values(name, array)]
    lines = [_values(name, row) for row in array[:_MOST_ROWS]]
    return [*lines, f"… ({len(array)} rows)"] if len(array) > _MOST_ROWS else lines


def _values(name: str, array: Array) -> str:
    from triton_operator.sdk.protocol_json import to_json

    data = to_json(name, array)["data"]
    shown = ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in data[:_SHOWN])
    return shown + (f", … ({len(data)} values)" if len(data) > _SHOWN else "")
