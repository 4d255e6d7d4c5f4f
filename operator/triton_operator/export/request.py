"""The requests of `tritonctl export` and `compress`, and all checks that need neither torch nor the user's code.

Input: an ExportRequest, and a CompressionRequest for `compress`. Output: one ExportError with all mistakes, or none.
Reads files, but does not execute them; both commands call it first.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.model import Format
from triton_operator.export.errors import ExportError
from triton_operator.export.inputs import read_input
from triton_operator.export.naming import check_model_name, check_names
from triton_operator.export.tolerance import TOLERANCE
from triton_operator.triton.model_file.archive import ArchiveError, FileType, read_file_type

EXAMPLE_SUFFIXES = (".npz", ".pt", ".pth", ".json")

_GENERIC_STEM = "model"


class ExportRequest(NamedTuple):
    """What to export.

    An empty `name` is derived from the file; `inputs` are `[NAME:]TYPE:DIMS[@LOW..HIGH]`, and `examples` are files.
    """

    source: str
    inputs: tuple[str, ...] = ()
    name: str = ""
    max_batch_size: int = 0
    output_names: tuple[str, ...] = ()
    trace: bool = False
    model_format: Format = Format.TORCHSCRIPT
    tolerance: float = TOLERANCE
    examples: tuple[Path, ...] = ()


class CompressionRequest(NamedTuple):
    """How to compress; `evaluate` and `fine_tune` are FILE.py:NAME, and `weights` is a file with a state_dict."""

    method: str
    evaluate: str
    max_drop: float
    sparsity: float
    fine_tune: str = ""
    weights: Path | None = None


def check(request: ExportRequest, compression: CompressionRequest | None = None) -> None:
    """Raise one ExportError that lists all mistakes."""
    found = [*_mistakes(request), *(_compression_mistakes(compression) if compression else ())]
    if found:
        raise ExportError("; ".join(dict.fromkeys(found)))


def _mistakes(request: ExportRequest) -> Iterator[str]:
    checks: list[Callable[[], object]] = [
        lambda: _check_source(request),
        lambda: check_model_name(name_of_request(request)),
        *(partial(read_input, text, index) for index, text in enumerate(request.inputs)),
        lambda: _check_names(request),
        *(partial(_check_example, path) for path in request.examples),
    ]
    for each in checks:
        try:
            each()
        except ExportError as error:
            yield str(error)
        except OSError as error:
            yield f"{error.filename}: {error.strerror}"
    if not request.inputs and not request.examples:
        yield "the inputs of forward() are not set: pass --input [NAME:]TYPE:DIMS for each input, or --example FILE"
    if not request.tolerance >= 0:
        yield f"--tolerance {request.tolerance:g}: must be 0 or more"


def _check_source(request: ExportRequest) -> None:
    path, attribute = parts(request.source)
    if attribute:
        _check_python(path)
        if request.model_format is Format.AOT_INDUCTOR:
            require_compiler()
    elif request.model_format is not Format.TORCHSCRIPT:
        raise ExportError(f"{request.source}: {request.model_format} is compiled from the module itself: FILE.py:NAME")
    else:
        check_torchscript(path)


def _check_names(request: ExportRequest) -> None:
    tensors = [read_input(text, index).tensor for index, text in enumerate(request.inputs)]
    if request.model_format is Format.AOT_INDUCTOR and any(each.data_type == "STRING" for each in tensors):
        raise ExportError("AOTInductor accepts only tensors; process text in a Python step before the model")
    check_names(tuple(each.name for each in tensors), "input")
    check_names(request.output_names, "output")


def _check_example(path: Path) -> None:
    if path.suffix not in EXAMPLE_SUFFIXES:
        raise ExportError(f"--example {path}: must end in {', '.join(EXAMPLE_SUFFIXES)}")
    path.stat()


def _compression_mistakes(compression: CompressionRequest) -> Iterator[str]:
    for source in (compression.evaluate, compression.fine_tune):
        path, attribute = parts(source)
        if source and not attribute:
            yield f"{source}: must be FILE.py:NAME"
        elif source and not path.is_file():
            yield f"{path}: there is no such Python file"
    if compression.weights and not compression.weights.exists():
        yield f"{compression.weights}: {os.strerror(2)}"
    prunes = compression.method.startswith("prune")
    if prunes and not 0 < compression.sparsity < 1:
        yield f"sparsity {compression.sparsity:g}: must be above 0 and below 1"
    if compression.fine_tune and not prunes:
        yield f"{compression.method}: fine-tuning is supported only after pruning"
    if not compression.max_drop >= 0:
        yield f"--max-drop {compression.max_drop:g}: must be 0 or more"


def parts(source: str) -> tuple[Path, str]:
    """Split FILE.py:NAME into the file and NAME, which is "" if absent."""
    path, _, attribute = source.partition(".py:")
    return (Path(f"{path}.py"), attribute) if attribute else (Path(source), "")


def name_of_request(request: ExportRequest) -> str:
    """Return the model name; raises ExportError."""
    return request.name or name_of(parts(request.source)[0])


def name_of(path: Path) -> str:
    """Return the model name derived from a file: its stem, or its folder in a repository; raises ExportError.

    Every model file in a repository is named model.pt, so the folder is used for that stem.
    """
    if path.stem != _GENERIC_STEM:
        return path.stem
    if path.parent.name.isdecimal() and path.parent.parent.name:
        return path.parent.parent.name
    raise ExportError(f"{path}: the path does not contain a model name; pass --name NAME")


def _check_python(path: Path) -> None:
    if not path.is_file():
        raise ExportError(f"{path}: there is no such Python file")


def check_torchscript(path: Path) -> None:
    """Reject a file that is not TorchScript by its content; raises ExportError."""
    try:
        with path.open("rb") as file:
            content = read_file_type(file)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except ArchiveError as error:
        raise ExportError(f"{path}: {error}") from error
    if content is not FileType.TORCHSCRIPT:
        raise ExportError(f"{path} is {content.value}, not TorchScript; name the module instead: FILE.py:NAME")


def require_compiler() -> None:
    """Check that a C++ compiler and setuptools are installed; raises ExportError."""
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        raise ExportError(
            f"compiling for AOTInductor needs a C++ compiler, and there is no {compiler}: "
            "install one (Debian: apt-get install g++) or name another in the variable CXX"
        )
    if importlib.util.find_spec("setuptools") is None:
        raise ExportError(
            "compiling for AOTInductor needs setuptools, which torch uses to find its headers: pip install setuptools"
        )
