"""`tritonctl infer`: one prediction from a deployment, to see that it answers and what.

Enters: a name and a KServe v2 request file. Leaves: the output tensors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli.failures import Misused
from triton_operator.cli.options import Context, Format, Kubeconfig, Name, Namespace, Output, kubectl
from triton_operator.cli.output import console, print_data, table
from triton_operator.sdk.address import Protocol

if TYPE_CHECKING:
    from triton_operator.sdk.client import Prediction
    from triton_operator.sdk.kubectl import Kubectl
    from triton_operator.sdk.tensors import Array

EPILOG = """\b
Examples:
  tritonctl infer linear-regression --input request.json
  tritonctl infer digits -n models -i digit.json --protocol grpc -o json
\b
A request file:
  {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [9, 10]}]}
"""
_SHOWN = 10


def infer(
    name: Name,
    input_file: Annotated[
        Path, typer.Option("--input", "-i", metavar="FILE", help="JSON of a KServe v2 inference request.")
    ],
    namespace: Namespace = "",
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="Model to ask; needed when there are several.")
    ] = "",
    protocol: Annotated[Protocol, typer.Option("--protocol", "-p", help="How to ask.")] = Protocol.HTTP,
    output: Output = Format.TABLE,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="Go there directly; else through kubectl port-forward.")
    ] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for the answer.")
    ] = 60,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Ask a deployment for one prediction and print its outputs.

    Exit status 1 when the model refuses, 2 when the file cannot be sent, 3 when nothing answers.
    """
    from triton_operator.sdk.client import Client
    from triton_operator.sdk.tensors import read_request

    request = read_request(input_file)
    cluster = kubectl(kubeconfig, context)
    asked = model or request.model or (name if url else only_model(cluster, name, namespace))
    with Client(name, namespace, protocol=protocol, url=url, kubectl=cluster, timeout=timeout) as client:
        prediction = client.infer(asked, request.inputs, request.outputs)
    if output is Format.TABLE:
        _print(prediction, protocol)
    else:
        print_data(to_data(prediction), output)


def only_model(cluster: Kubectl, name: str, namespace: str) -> str:
    """The deployment's one model; raises Misused when there is a choice to make."""
    models = [str(model["name"]) for model in cluster.deployment(name, namespace)["spec"]["models"]]
    if len(models) > 1:
        raise Misused(f"--model: {name} serves several; choose one of {', '.join(models)}")
    return models[0]


def to_data(prediction: Prediction) -> dict[str, Any]:
    """The answer as JSON of the inference protocol."""
    from triton_operator.sdk.tensors import to_json

    return {
        "model_name": prediction.model,
        "model_version": prediction.version,
        "outputs": [to_json(name, array) for name, array in prediction.outputs.items()],
    }


def _print(prediction: Prediction, protocol: Protocol) -> None:
    from triton_operator.sdk.tensors import data_type

    rows = [
        (name, data_type(array, name), "x".join(map(str, array.shape)), _values(name, array))
        for name, array in prediction.outputs.items()
    ]
    out = console()
    out.print(table(["OUTPUT", "TYPE", "SHAPE", "VALUES"], rows))
    milliseconds = prediction.seconds * 1000
    out.print(
        f"\n{prediction.model} version {prediction.version} answered over {protocol.name} in {milliseconds:.1f} ms"
    )


def _values(name: str, array: Array) -> str:
    from triton_operator.sdk.tensors import to_json

    data = to_json(name, array)["data"]
    shown = ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in data[:_SHOWN])
    return shown + (f", … ({len(data)} values)" if len(data) > _SHOWN else "")
