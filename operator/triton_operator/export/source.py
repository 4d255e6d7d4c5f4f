"""What the command line exports: a module out of a Python file, or a TorchScript file that gets its signature.

Enters: a Request. Leaves: the model's folder. `tritonctl export` calls it. Needs torch.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.errors import ExportError
from triton_operator.export.examples import make_examples, read_input
from triton_operator.export.exporter import export, export_file
from triton_operator.export.folder import Exported, Place
from triton_operator.export.questions import Contract
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
    tensors = [read_input(text, index) for index, text in enumerate(request.inputs)]
    path, _, attribute = request.source.partition(".py:")
    names = tuple(tensor.name for tensor in tensors)
    contract = Contract(
        request.name or name_of(Path(path)), names, request.output_names, request.max_batch_size, request.tolerance
    )
    examples = make_examples(tensors, batched=request.max_batch_size > 0)
    if not attribute and request.model_format is Format.TORCHSCRIPT:
        return export_file(_torchscript(Path(request.source)), examples, contract, place)
    if not attribute:
        raise ExportError(f"{request.source}: {request.model_format} is compiled from the module itself: FILE.py:NAME")
    module = load_module(Path(f"{path}.py"), attribute)
    if request.model_format is Format.TORCHSCRIPT:
        return export(module, examples, contract, place, trace=request.trace)
    from triton_operator.export import aotinductor

    return aotinductor.export(module, examples, contract, place)


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
    """Run the user's file and take the module that it names, or that what it names makes."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ExportError(f"{path}: there is no such Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded  # torch reads a class's source through it.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(loaded)
        found = getattr(loaded, attribute)
        module = found if isinstance(found, nn.Module) else found()
    except Exception as error:
        raise ExportError(f"{path}:{attribute}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    if not isinstance(module, nn.Module):
        raise ExportError(f"{path}:{attribute}: is no torch.nn.Module and makes none, but {type(module).__name__}")
    return module


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
