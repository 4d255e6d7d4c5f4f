"""What the command line exports: a module out of a Python file, or a TorchScript file that gets its signature.

Enters: a Request. Leaves: the model's folder. `tritonctl export` calls it. Needs torch.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.errors import ExportError
from triton_operator.export.examples import make_examples, read_input
from triton_operator.export.exporter import export, export_file
from triton_operator.export.folder import Exported, Place
from triton_operator.export.questions import Contract
from triton_operator.export.tensors import Value
from triton_operator.export.tolerance import TOLERANCE
from triton_operator.triton.torchscript import ArchiveError, Content, read_content

_SAYS_NOTHING = "model"


class Request(NamedTuple):
    """What was asked for; `name` "" is the file's, and inputs are `[NAME:]TYPE:DIMS`."""

    source: str
    inputs: tuple[str, ...]
    name: str = ""
    max_batch_size: int = 0
    output_names: tuple[str, ...] = ()
    trace: bool = False
    model_format: Format = Format.TORCHSCRIPT
    tolerance: float = TOLERANCE


def run(request: Request, place: Place) -> Exported:
    """Export; raises ExportError."""
    path, _, attribute = request.source.partition(".py:")
    if attribute:
        return export_module(load_module(Path(f"{path}.py"), attribute), request, place)
    if request.model_format is not Format.TORCHSCRIPT:
        raise ExportError(f"{request.source}: {request.model_format} is compiled from the module itself: FILE.py:NAME")
    contract, examples = _asked(request)
    return export_file(_torchscript(Path(request.source)), examples, contract, place)


def export_module(module: nn.Module, request: Request, place: Place) -> Exported:
    """Export a module that is at hand; raises ExportError."""
    contract, examples = _asked(request)
    if request.model_format is Format.TORCHSCRIPT:
        return export(module, examples, contract, place, trace=request.trace)
    from triton_operator.export import aotinductor

    return aotinductor.export(module, examples, contract, place)


def _asked(request: Request) -> tuple[Contract, list[list[Value]]]:
    tensors = [read_input(text, index) for index, text in enumerate(request.inputs)]
    name = request.name or name_of(Path(request.source.partition(":")[0]))
    names = tuple(tensor.name for tensor in tensors)
    contract = Contract(name, names, request.output_names, request.max_batch_size, request.tolerance)
    return contract, make_examples(tensors, batched=request.max_batch_size > 0)


def name_of(path: Path) -> str:
    """The model's name by its file: the file's own, or that of its folder in a repository; raises ExportError.

    Every file in a repository is called model.pt, so that says nothing.
    """
    if path.stem != _SAYS_NOTHING:
        return path.stem
    if path.parent.name.isdecimal() and path.parent.parent.name:
        return path.parent.parent.name
    raise ExportError(f"{path}: what is the model called? Say --name NAME")


def load_module(path: Path, attribute: str) -> nn.Module:
    """The module that a Python file names, or that what it names makes; raises ExportError."""
    found = load_attribute(path, attribute)
    try:
        module = found if isinstance(found, nn.Module) else found()
    except Exception as error:
        raise ExportError(f"{path}:{attribute}: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise ExportError(f"{path}:{attribute}: is no torch.nn.Module and makes none, but {type(module).__name__}")
    return module


def load_attribute(path: Path, attribute: str) -> Any:
    """What the user's file calls so; the file is run, once. Raises ExportError."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ExportError(f"{path}: there is no such Python file")
    loaded = sys.modules.get(path.stem)
    try:
        if getattr(loaded, "__file__", None) != str(path):
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[path.stem] = loaded  # torch reads a class's source through it.
            sys.path.insert(0, str(path.parent))
            try:
                spec.loader.exec_module(loaded)
            except BaseException:
                del sys.modules[path.stem]
                raise
            finally:
                sys.path.remove(str(path.parent))
        return getattr(loaded, attribute)
    except Exception as error:
        raise ExportError(f"{path}:{attribute}: {type(error).__name__}: {error}") from error


def _torchscript(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            content = read_content(file)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except ArchiveError as error:
        raise ExportError(f"{path}: {error}") from error
    if content is not Content.TORCHSCRIPT:
        raise ExportError(f"{path} is {content.value}, not TorchScript; name the module instead: FILE.py:NAME")
    return path
