"""`tritonctl explain`: which parts of an input drove a prediction, of a served model or by a file at hand.

Input: a name, and one picture, text, row of a table or request. Output: a heat map, weighted characters or bars.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli.explain.row import (
    Row,
    argument_places,
    choose_row,
    column_names,
    interface_of_file,
    output_of_file,
    read_target,
)
from triton_operator.cli.failures import UsageError
from triton_operator.cli.kubectl.server import Server
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, Output, kubectl
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.cli.terminal.output import print_data
from triton_operator.cli.terminal.spinner import PATIENCE_SECONDS
from triton_operator.explain.names import GRADIENTS, Method
from triton_operator.sdk.address import Protocol

if TYPE_CHECKING:
    from triton_operator.cli.inputs.read import CommandInput
    from triton_operator.explain import Explanation
    from triton_operator.sdk.interface import ModelInterface
    from triton_operator.sdk.protocol_json import RequestBody

EPILOG = """\b
Examples:
  tritonctl explain digits --image seven.png --png why.png
  tritonctl explain chinese-texts --text 我爱你
  tritonctl explain breast-cancer --csv patients.csv --row 3 --baseline mean
  tritonctl explain digits --image seven.png --model-file model_repository/digits/1/model.pt
\b
Methods: kernel-shap (Shapley values; the default) and occlusion ask the served model again with parts taken away.
integrated-gradients (the default with --model-file), saliency, smooth-grad and embedding-gradients need the file and
the extra `explain`; the server is not asked then.
Red raised the prediction, blue lowered it.
"""
_OF_SERVERS = ("namespace", "model", "protocol", "url", "timeout", "kubeconfig", "context")
"""Options that say where a served model is, and how to ask it."""
_CLEAR = "\r\033[K"
_EVERY_SECONDS = 0.2


def explain(
    said: typer.Context,
    name: Name,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", "--image", "--csv", metavar="FILE", help="Picture, CSV, JSON or text; - is stdin."
        ),
    ] = None,
    text: Annotated[str, typer.Option("--text", "-t", metavar="TEXT", help="A text.")] = "",
    row: Annotated[int, typer.Option("--row", min=1, help="Which row of the file, from 1.")] = 1,
    method: Annotated[Method, typer.Option("--method", help="How; see below.")] = Method.AUTO,
    target: Annotated[
        str, typer.Option("--target", metavar="N|N,N|LABEL", help="Output to explain; the likeliest by default.")
    ] = "",
    baseline: Annotated[
        str, typer.Option("--baseline", metavar="WHAT", help="zeros, mean (of the file's rows), a number; or a text.")
    ] = "",
    samples: Annotated[int, typer.Option("--samples", min=3, help="Most rows that the model is asked.")] = 2048,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the sample.")] = 0,
    patch: Annotated[int, typer.Option("--patch", min=0, help="Pixels on a side of a patch; 0: a seventh.")] = 0,
    names: Annotated[str, typer.Option("--names", metavar="A,B,…", help="Of the columns; else the CSV's own.")] = "",
    input_name: Annotated[str, typer.Option("--input-name", metavar="INPUT", help="Input to explain.")] = "",
    output_name: Annotated[str, typer.Option("--output-name", metavar="OUTPUT", help="Output to explain.")] = "",
    model_file: Annotated[
        Path | None, typer.Option("--model-file", metavar="model.pt", help="TorchScript file, for gradients.")
    ] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Draw it into this file, too.")] = None,
    font: Annotated[Path | None, typer.Option("--font", metavar="FILE", help="Font for the drawing of a text.")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="Dark on light becomes light on dark, in pictures.")] = False,
    namespace: Namespace = "",
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="Model, where there are several.")] = "",
    protocol: Annotated[Protocol, typer.Option("--protocol", "-p", help="How to ask.")] = Protocol.HTTP,
    output: Output = OutputFormat.TABLE,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="Go there directly; else through kubectl port-forward.")
    ] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for each answer.")
    ] = 60,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Say which parts of an input drove a model's prediction.

    Exit status 1 when the model refuses, 2 when the question cannot be asked, 3 when nothing answers.
    """
    options: dict[str, Any] = {
        "target": read_target(target),
        "baseline": baseline or None,
        "samples": samples,
        "seed": seed,
        "patch": patch,
    }
    _check(method, model_file, png)
    given = _Asked([input_file] if input_file else [], [text] if text else [], row, invert, names, input_name)
    if model_file:
        options["output"] = output_name
        found = _by_file(name, model_file, given, method, options)
    else:
        server = Server(name, namespace, protocol, url, kubectl(kubeconfig, context), timeout)
        found = _by_server(server, model, given, method, options | {"output": output_name})
    _show(replace(found, notes=(*found.notes, *_unused(said, given))), output, png, font)


def _unused(said: typer.Context, given: _Asked) -> list[str]:
    """What the command line says for nothing, beside what the methods themselves have no use for."""
    reasons: dict[str, str] = {}
    if said.params["model_file"]:
        reasons |= dict.fromkeys(_OF_SERVERS, "--model-file asks no server")
    if not given.of_image:
        reasons["invert"] = "the input is no picture file"
    if not said.params["png"]:
        reasons["font"] = "nothing is drawn without --png"
    return [f"--{option} has no effect: {why}" for option, why in reasons.items() if _typed(said, option)]


def _typed(said: typer.Context, option: str) -> bool:
    source = said.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _check(method: Method, model_file: Path | None, png: Path | None) -> None:
    """What can be seen to be wrong before anybody is asked; raises UsageError."""
    if method in GRADIENTS and not model_file:
        raise UsageError(f"--method {method} needs --model-file: a served model only answers")
    if png and not png.absolute().parent.is_dir():
        raise UsageError(f"--png {png}: there is no folder {png.parent}")


@dataclass
class _Asked:
    """What the command line says of the row, and what was read there."""

    files: list[Path]
    texts: list[str]
    number: int
    invert: bool
    names: str
    input_name: str
    found: CommandInput | None = None

    @property
    def of_image(self) -> bool:
        """Whether an image file was read."""
        return self.found is not None and self.found.input_format.name == "IMAGE"

    def read(self, interface: Callable[[], ModelInterface]) -> RequestBody:
        """The request in the file or the text; raises UsageError."""
        from triton_operator.cli.inputs.read import read_input

        self.found = read_input(self.files, self.texts, interface, invert=self.invert)
        return self.found.request

    def row(self, request: RequestBody, interface: ModelInterface) -> Row:
        """The selected row of the request; raises UsageError."""
        by_rows = all(tensor.batched for tensor in interface.inputs)
        return choose_row(request.inputs, self.number, by_rows=by_rows)

    def options(self, row: Row, options: dict[str, Any]) -> dict[str, Any]:
        """The options with what the file says beside the row."""
        explained = row.explained_input(self.input_name)
        array = row.inputs[explained]
        named = self.found.columns.get(explained, ()) if self.found and array.dtype.kind != "O" else ()
        names = column_names(self.names, named, array.size)
        return options | {"names": names, "background": row.others[explained]}


def _by_server(server: Server, named: str, given: _Asked, method: Method, options: dict[str, Any]) -> Explanation:
    chosen = cache(lambda: server.choose_model(named))
    with server:
        request = given.read(lambda: server.interface(chosen()))
        asked = named or request.model or chosen()
        row = given.row(request, server.interface(asked))
        told = given.options(row, options) | {
            "input": row.explained_input(given.input_name),
            "progress": _Progress(asked),
        }
        return server.client.explain(asked, row.inputs, method, **told)


def _by_file(name: str, file: Path, given: _Asked, method: Method, options: dict[str, Any]) -> Explanation:
    from triton_operator.explain import ExplanationError, Question, explain_file

    output = output_of_file(file, options.pop("output"))
    request = given.read(lambda: interface_of_file(file))
    row = choose_row(request.inputs, given.number, by_rows=True)
    explained = row.explained_input(given.input_name)
    places = argument_places(file, list(row.inputs))
    others = {places[each]: array[0] for each, array in row.inputs.items() if each != explained}
    question = Question(method=method, **given.options(row, options))
    try:
        found = explain_file(file, row.inputs[explained][0], question, others=others)
    except ExplanationError as error:
        raise UsageError(str(error)) from error
    return replace(found, model=request.model or name, output=output)


def _show(found: Explanation, output: OutputFormat, png: Path | None, font: Path | None) -> None:
    from triton_operator.explain import ExplanationError

    if output is OutputFormat.TABLE:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        width = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 120
        typer.echo(found.text(colour=colour, width=width), nl=False, color=colour)
    else:
        print_data(found.to_json(), output)
    if png:
        try:
            found.save_png(png, font=font)
        except ExplanationError as error:
            raise UsageError(f"--{error}") from error
        except OSError as error:
            raise UsageError(f"--png {png}: {error.strerror or error}") from error
        typer.echo(f"drawn into {png}", err=True)


class _Progress:
    """How many rows have been answered, on one line of a terminal, from the third second on."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._next = time.monotonic() + PATIENCE_SECONDS

    def __call__(self, answered: int, planned: int) -> None:
        if not sys.stderr.isatty() or (time.monotonic() < self._next and answered < planned):
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        line = f"{self._model} has answered {answered:,} of {planned:,} rows …" if answered < planned else ""
        sys.stderr.write(f"{_CLEAR}{line}")
        sys.stderr.flush()
