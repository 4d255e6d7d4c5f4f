"""`tritonctl export`: a PyTorch module, or a TorchScript file, as a folder that Triton serves.

Input: `FILE.py:NAME` or a `.pt`, and the tensors that forward() takes. Output: the model's file with its signature,
and its card. The Python file is the user's own and is run.
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
NAME is a module, or a class or function that makes one without arguments. An input is [NAME:]TYPE:DIMS, dims without
the batch, -1 for any size; without a name it is INPUT__0 and so on. Examples are drawn: whole numbers 0 or 1, or within
LOW..HIGH. A FILE has real ones, with the batch: arrays by name in .npz; a tensor, list or dict in .pt; values by name,
or in order, in .json.
"""


class Kind(StrEnum):
    """What may be written, as people type it."""

    TORCHSCRIPT = "torchscript"
    AOTINDUCTOR = "aotinductor"


_OPTIONS = {"trace=True": "--trace", "max_batch_size": "--max-batch-size"}
"""What the library calls what the command has as an option."""

FORMATS = {Kind.TORCHSCRIPT: Format.TORCHSCRIPT, Kind.AOTINDUCTOR: Format.AOT_INDUCTOR}


def export(
    source: Annotated[str, typer.Argument(metavar="FILE.py:NAME|FILE.pt", help="What to export.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="[NAME:]TYPE:DIMS[@LOW..HIGH]", help="One input of forward(), in order; repeat it."
        ),
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option(
            "--example", metavar="FILE", help="Arguments of forward(): .npz, .pt or .json; one more for other sizes."
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The model's name; without it the file's, or its folder's in a repository."
        ),
    ] = "",
    max_batch_size: Annotated[
        int, typer.Option("--max-batch-size", min=0, help="Largest batch; 0: the first dimension is no batch.")
    ] = 0,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--output-name", metavar="NAME", help="Name of an output, in order; OUTPUT__0 and so on without."),
    ] = None,
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Repository to write to.")] = Path(),
    version: Annotated[int, typer.Option("--version", min=1, help="The model's version.")] = 1,
    kind: Annotated[
        Kind, typer.Option("--format", help="aotinductor: compiled for this kind of processor; needs g++ and a minute.")
    ] = Kind.TORCHSCRIPT,
    trace: Annotated[bool, typer.Option("--trace", help="Trace instead of scripting.")] = False,
    with_config: Annotated[
        bool, typer.Option("--with-config", help="Write config.pbtxt, too: for a Triton without the operator.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="Largest difference of an answer from the module's own.")
    ] = 1e-5,
    url: Annotated[
        str, typer.Option("--url", metavar="HOST:PORT", help="Compare also with this Triton, which reads DIR.")
    ] = "",
) -> None:
    """Write DIR/NAME/VERSION/model.pt with a signature that says what the model takes and gives, and its card.

    The exported model has to answer as the module does, within 1e-5. A ModelDeployment needs no config.pbtxt then.
    """
    from triton_operator.export.request import Request, check

    request = Request(
        source,
        tuple(inputs or ()),
        name,
        max_batch_size,
        tuple(outputs or ()),
        trace,
        FORMATS[kind],
        tolerance,
        tuple(examples or ()),
    )
    with refusals(folder, "exporting"):
        check(request)
        from triton_operator.export.folder import Place
        from triton_operator.export.source import run

        with spinner("compiling" if kind is Kind.AOTINDUCTOR else "exporting"):
            exported = run(request, Place(folder, version, with_config, url))
    print_exported(exported)


@contextmanager
def refusals(folder: Path, doing: str, extra: str = "export") -> Iterator[None]:
    """Errors of exporting as the command's own; `compress` has the same."""
    from triton_operator.export.errors import ExportError

    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"{doing} needs {error.name}: pip install '.[cli,{extra}]'") from error
    except ExportError as error:
        raise CommandFailedError(in_options(str(error))) from error
    except OSError as error:
        raise CommandFailedError(f"{error.filename or folder}: {error.strerror or error}") from error


def in_options(text: str) -> str:
    """A message of the library, which names its keywords, with the options of the command."""
    for keyword, option in _OPTIONS.items():
        text = re.sub(rf"\b(?<!-){keyword}\b", option, text)
    return text


def print_exported(exported: Exported) -> None:
    """What was written and checked; `compress` prints it, too."""
    from triton_operator.export.tensors import remark

    signature = exported.signature
    typer.echo(f"{exported.path}: answers within {exported.difference:.2g} of the module")
    if exported.served is not None:
        typer.echo(f"  served: within {exported.served:.2g} of the module")
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for tensor in tensors:
            noted = remark(tensor, batched=signature.max_batch_size > 0)
            typer.echo(f"  {kind} {tensor.name}: {tensor.shown}{f' ({noted})' if noted else ''}")
    typer.echo(f"  {f'batches up to {signature.max_batch_size}' if signature.max_batch_size else 'no batches'}")
