"""`tritonctl explain`: show which parts of an input influenced a prediction of a served model or a TorchScript file.

Input: a name, and one image, text, row of a table or request. Output: a heat map, weighted characters or bars.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli.cluster.server import ServerConnection
from triton_operator.cli.explain.row import (
    argument_places,
    choose_row,
    interface_of_file,
    output_of_file,
    read_target,
    require_batch,
)
from triton_operator.cli.explain.selected_row import SelectedRow
from triton_operator.cli.explain.show import show
from triton_operator.cli.failures import UsageError
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
from triton_operator.cli.terminal.spinner import PATIENCE_SECONDS
from triton_operator.explain.names import GRADIENTS, Method
from triton_operator.sdk.address import Protocol

if TYPE_CHECKING:
    from triton_operator.explain import Explanation

EPILOG = """\b
Examples:
  tritonctl explain digits --image seven.png --png why.png
  tritonctl explain chinese-texts --text 我爱你
  tritonctl explain breast-cancer --csv patients.csv --row 3 --baseline mean
  tritonctl explain digits --image seven.png --model-file model_repository/digits/1/model.pt
\b
kernel-shap (Shapley values; the default) and occlusion send requests in which parts of the input are masked.
integrated-gradients (the default with --model-file), saliency, smooth-grad and embedding-gradients compute gradients
from --model-file, without a server; they need the Python extra `explain`.
Red parts increased the prediction, blue parts decreased it.
"""
_OF_SERVERS = (
    *("namespace", "model", "protocol", "url", "timeout", "kubeconfig", "context"),
    *("ca_file", "server_name", "token_file", "service_account", "cert", "key"),
)
"""Options that select a served model and the protocol."""
_CLEAR = "\r\033[K"
_EVERY_SECONDS = 0.2


def explain(
    command_line: typer.Context,
    name: Name,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            "--image",
            "--csv",
            metavar="FILE",
            help="Image, text, CSV or JSON file; - for standard input.",
        ),
    ] = None,
    text: Annotated[str, typer.Option("--text", "-t", metavar="TEXT", help="Text to explain.")] = "",
    row: Annotated[
        int, typer.Option("--row", metavar="N", min=1, help="Row of the file to explain, starting at 1.")
    ] = 1,
    method: Annotated[Method, typer.Option("--method", help="Attribution method; see below.")] = Method.AUTO,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="N|N,N|LABEL",
            help="Index or label of the output value to explain; by default, the highest value.",
        ),
    ] = "",
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="BASELINE",
            help="Value that replaces masked parts: zeros, mean (over the file's rows), a number, or a string.",
        ),
    ] = "",
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=3, help="Maximum number of rows to send to the model.")
    ] = 2048,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed for random sampling.")] = 0,
    patch: Annotated[
        int,
        typer.Option("--patch", metavar="PIXELS", min=0, help="Patch size in pixels; 0 for a seventh of the image."),
    ] = 0,
    names: Annotated[
        str, typer.Option("--names", metavar="A,B,…", help="Column names; by default, those of the CSV file.")
    ] = "",
    input_name: Annotated[str, typer.Option("--input-name", metavar="INPUT", help="Input tensor to explain.")] = "",
    output_name: Annotated[str, typer.Option("--output-name", metavar="OUTPUT", help="Output tensor to explain.")] = "",
    model_file: Annotated[
        Path | None,
        typer.Option("--model-file", metavar="FILE", help="TorchScript file, for the methods that use gradients."),
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Also save the explanation as a PNG file.")
    ] = None,
    font: Annotated[Path | None, typer.Option("--font", metavar="FILE", help="Font for text in the image.")] = None,
    invert: Invert = False,
    namespace: Namespace = "",
    model: ModelName = "",
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
    """Show which parts of an input influenced a model's prediction.

    The exit status is 1 if the model rejects a request, 2 if an option or input is invalid, and 3 if the server is
    unreachable.
    """
    options: dict[str, Any] = {
        "target": read_target(target),
        "baseline": baseline or None,
        "samples": samples,
        "seed": seed,
        "patch": patch,
    }
    _check(method, model_file, png)
    selected = SelectedRow([input_file] if input_file else [], [text] if text else [], row, invert, names, input_name)
    if model_file:
        options["output"] = output_name
        found = _by_file(name, model_file, selected, method, options)
    else:
        access = access_options(ca_file, server_name, token_file, service_account, cert, key)
        cluster = kube_context(kubeconfig, context)
        server = ServerConnection(name, namespace, protocol, url, cluster, timeout, access)
        found = _by_server(server, model, selected, method, options | {"output": output_name})
    show(replace(found, notes=(*found.notes, *_unused(command_line, selected))), output, png, font)


def _unused(command_line: typer.Context, selected: SelectedRow) -> list[str]:
    """A note for each option on the command line that has no effect; the methods add their own."""
    reasons: dict[str, str] = {}
    if command_line.params["model_file"]:
        reasons |= dict.fromkeys(_OF_SERVERS, "--model-file does not use a server")
    if not selected.of_image:
        reasons["invert"] = "the input is not an image file"
    if not command_line.params["png"]:
        reasons["font"] = "it is used only with --png"
    unused = {option: why for option, why in reasons.items() if _is_set(command_line, option)}
    return [f"--{option.replace('_', '-')} has no effect: {why}" for option, why in unused.items()]


def _is_set(command_line: typer.Context, option: str) -> bool:
    source = command_line.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _check(method: Method, model_file: Path | None, png: Path | None) -> None:
    """Check the options that do not depend on the model; raises UsageError."""
    if method in GRADIENTS and not model_file:
        raise UsageError(f"--method {method} needs --model-file, because a server does not provide gradients")
    if png and not png.absolute().parent.is_dir():
        raise UsageError(f"--png {png}: the folder {png.parent} does not exist")


def _by_server(
    server: ServerConnection, named: str, selected: SelectedRow, method: Method, options: dict[str, Any]
) -> Explanation:
    chosen = cache(lambda: server.choose_model(named))
    with server:
        request = selected.read(lambda: server.interface(chosen()))
        model = named or request.model or chosen()
        row = selected.row(request, server.interface(model))
        settings = selected.options(row, options)
        return server.client.explain(
            model,
            row.inputs,
            method,
            **settings,
            input=row.explained_input(selected.input_name),
            progress=_Progress(model),
        )


def _by_file(name: str, file: Path, selected: SelectedRow, method: Method, options: dict[str, Any]) -> Explanation:
    from triton_operator.explain import ExplanationError, ExplanationRequest, explain_file

    require_batch(file)
    output = output_of_file(file, options.pop("output"))
    request = selected.read(lambda: interface_of_file(file))
    row = choose_row(request.inputs, selected.number, by_rows=True)
    explained = row.explained_input(selected.input_name)
    places = argument_places(file, list(row.inputs))
    others = {places[each]: array[0] for each, array in row.inputs.items() if each != explained}
    settings = ExplanationRequest(method=method, **selected.options(row, options))
    try:
        found = explain_file(file, row.inputs[explained][0], settings, others=others)
    except ExplanationError as error:
        raise UsageError(str(error)) from error
    return replace(found, model=request.model or name, output=output)


class _Progress:
    """The number of evaluated rows, on one line of a terminal, if it takes longer than PATIENCE_SECONDS."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._next = time.monotonic() + PATIENCE_SECONDS

    def __call__(self, answered: int, planned: int) -> None:
        if not sys.stderr.isatty() or (time.monotonic() < self._next and answered < planned):
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        line = f"{self._model}: {answered:,} of {planned:,} rows evaluated …" if answered < planned else ""
        sys.stderr.write(f"{_CLEAR}{line}")
        sys.stderr.flush()
