"""What the command line exports: a module out of a Python file, or a TorchScript file that gets its signature.

Enters: a Request. Leaves: the model's folder. `tritonctl export` calls it. Needs torch.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

from torch import nn

from triton_operator.export.config import write_config
from triton_operator.export.errors import ExportError
from triton_operator.export.examples import make_examples, read_input
from triton_operator.export.exporter import Contract, Exported, export, export_file
from triton_operator.triton.torchscript import ArchiveError, Content, read_content


class Request(NamedTuple):
    """What was asked for; `name` "" is the file's, and inputs are `[NAME:]TYPE:DIMS`."""

    source: str
    inputs: tuple[str, ...]
    name: str = ""
    max_batch_size: int = 0
    output_names: tuple[str, ...] = ()
    trace: bool = False


def run(request: Request, folder: Path, *, version: int, with_config: bool) -> Exported:
    """Export; raises ExportError."""
    tensors = [read_input(text, index) for index, text in enumerate(request.inputs)]
    path, _, attribute = request.source.partition(".py:")
    name = request.name or Path(path).stem
    names = tuple(tensor.name for tensor in tensors)
    contract = Contract(name, names, request.output_names, request.max_batch_size)
    examples = make_examples(tensors, batched=request.max_batch_size > 0)
    if attribute:
        module = _load_module(Path(f"{path}.py"), attribute)
        exported = export(module, examples, contract, folder, trace=request.trace, version=version)
    else:
        exported = export_file(_torchscript(Path(request.source)), examples, contract, folder, version=version)
    if with_config:
        write_config(name, exported.signature, folder / name)
    return exported


def _load_module(path: Path, attribute: str) -> nn.Module:
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
