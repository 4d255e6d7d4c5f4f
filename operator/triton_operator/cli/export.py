"""`tritonctl export`: write a PyTorch module or a TorchScript file to a model repository.

Input: `FILE.py:NAME` or a `.pt` file, and the inputs of forward(). Output: the model file with its signature, and a
model card. The user's own Python file is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.api.model import Format
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.terminal.spinner import spinner

if TYPE_CHECKING:
    from triton_operator.export.folder import Exported

EPILOG = """\b
Examples:
  tritonctl export net.py:Digits --input FP32:1,28,28 --max-batch-size 64 --name digits
  tritonctl export net.py:build --input texts:STRING:-1 --input flags:BOOL:-1 --name words --to model_repository
  tritonctl export net.py:Tagger --input ids:INT64:40@1..9000 --input length:INT64:1@1..40 --max-batch-size 64
  tritonctl export net.py:Tagger --example short.npz --example long.npz --max-batch-size 64
  tritonctl export digits.pt --input FP32:1,28,28 --max-batch-size 64
  tritonctl export net.py:Digits --input FP32:1,28,28 --max-batch-size 64 --name digits --format aotinductor
\b
In FILE.py:NAME, NAME is a module, or a class or function that returns one when called without arguments. DIMS exclude
the batch dimension; -1 means any size. Inputs without a name are named INPUT__0, INPUT__1 and so on. The exported model
is compared with the module on random inputs; integers are 0 or 1 unless LOW..HIGH is set. To compare on real inputs
instead, pass --example FILE. The file contains named arrays (.npz); a tensor, list or dict (.pt); or values, by name or
in order (.json). Their shapes include the batch dimension.
"""


class ExportFormat(StrEnum):
    """The values of --format."""

    TORCHSCRIPT = "torchscript"
    AOTINDUCTOR = "aotinductor"


_OPTIONS = {"trace=True": "--trace", "max_batch_size": "--max-batch-size"}
"""Keyword arguments of the library and the options they correspond to."""

FORMATS = {ExportFormat.TORCHSCRIPT: Format.TORCHSCRIPT, ExportFormat.AOTINDUCTOR: Format.AOT_INDUCTOR}


def export(
    source: Annotated[
        str, typer.Argument(metavar="FILE.py:NAME|FILE.pt", help="Module or TorchScript file to export.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="[NAME:]TYPE:DIMS[@LOW..HIGH]", help="An input of forward(), in order; repeatable."
        ),
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option("--example", metavar="FILE", help="Example inputs (.npz, .pt or .json); repeatable."),
    ] = None,
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="Model name; by default, derived from the file or its folder."),
    ] = "",
    max_batch_size: Annotated[
        int,
        typer.Option(
            "--max-batch-size", metavar="ROWS", min=0, help="Maximum batch size; 0 if the model has no batch dimension."
        ),
    ] = 0,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "--output-name", metavar="NAME", help="Name of an output, in order; repeatable. [default: OUTPUT__0, …]"
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Model repository to write to.")] = Path(),
    version: Annotated[int, typer.Option("--version", metavar="N", min=1, help="Model version.")] = 1,
    file_format: Annotated[
        ExportFormat,
        typer.Option(
            "--format", help="File format. aotinductor compiles the model for this machine's CPU type and requires g++."
        ),
    ] = ExportFormat.TORCHSCRIPT,
    trace: Annotated[bool, typer.Option("--trace", help="Trace the module instead of scripting it.")] = False,
    with_config: Annotated[
        bool, typer.Option("--with-config", help="Also write config.pbtxt, for use without the operator.")
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", metavar="DIFFERENCE", min=0.0, help="Maximum difference from the module's outputs."
        ),
    ] = 1e-5,
    url: Annotated[
        str,
        typer.Option(
            "--url", metavar="HOST:PORT", help="Also compare with a Triton server at this address; it must serve DIR."
        ),
    ] = "",
) -> None:
    """Export a PyTorch module to DIR/NAME/VERSION/model.pt, with a signature of its inputs and outputs.

    The outputs of the exported model must equal the module's within --tolerance. The signature replaces config.pbtxt:
    a ModelDeployment that serves the model does not need one.
    """
    from triton_operator.export.request import ExportRequest, check

    request = ExportRequest(
        source,
        tuple(inputs or ()),
        name,
        max_batch_size,
        tuple(outputs or ()),
        trace,
        FORMATS[file_format],
        tolerance,
        tuple(examples or ()),
    )
    with export_errors(folder, "exporting"):
        check(request)
        from triton_operator.export.folder import Destination
        from triton_operator.export.source import run

        with spinner("compiling" if file_format is ExportFormat.AOTINDUCTOR else "exporting"):
            exported = run(request, Destination(folder, version, with_config, url))
    print_exported(exported)


@contextmanager
def export_errors(folder: Path, doing: str, extra: str = "export") -> Iterator[None]:
    """Convert errors of the export library to command errors; also used by `compress`."""
    from triton_operator.export.errors import ExportError

    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"{doing} needs {error.name}: pip install '.[cli,{extra}]'") from error
    except ExportError as error:
        raise CommandFailedError(name_options(str(error))) from error
    except OSError as error:
        raise CommandFailedError(f"{error.filename or folder}: {error.strerror or error}") from error


def name_options(text: str) -> str:
    """Replace keyword arguments in a message of the library with the options of the command."""
    for keyword, option in _OPTIONS.items():
        text = re.sub(rf"\b(?<!-){keyword}\b", option, text)
    return text


def print_exported(exported: Exported) -> None:
    """Print what was written and checked; also used by `compress`."""
    from triton_operator.export.tensors import note

    signature = exported.signature
    typer.echo(f"{exported.path}: outputs within {exported.difference:.2g} of the module's")
    if exported.served is not None:
        typer.echo(f"  served by Triton: outputs within {exported.served:.2g} of the module's")
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for tensor in tensors:
            text = note(tensor, batched=signature.max_batch_size > 0)
            typer.echo(f"  {kind} {tensor.name}: {tensor.shown}{f' ({text})' if text else ''}")
    typer.echo(f"  {f'batches up to {signature.max_batch_size}' if signature.max_batch_size else 'no batching'}")
