"""Export for the command line: a module from a Python file, or a TorchScript file that receives a signature.

Input: an ExportRequest. Output: the model folder. `tritonctl export` calls it. Requires torch.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from torch import nn

from triton_operator.api.model import Format
from triton_operator.export.equivalence_check import ExportOptions
from triton_operator.export.errors import ExportError
from triton_operator.export.example_files import check_open_sizes, read_example
from triton_operator.export.examples import make_examples
from triton_operator.export.exporter import argument_names, export, export_file, load_file
from triton_operator.export.folder import Destination, Exported
from triton_operator.export.inputs import read_input
from triton_operator.export.request import ExportRequest, check, name_of_request, parts
from triton_operator.export.tensors import Value


def run(request: ExportRequest, destination: Destination) -> Exported:
    """Export the source of the request; raises ExportError."""
    check(request)
    path, attribute = parts(request.source)
    if attribute:
        return export_module(load_module(path, attribute), request, destination)
    options, examples = read_options(request, load_file(path))
    return export_file(path, examples, options, destination)


def export_module(module: nn.Module, request: ExportRequest, destination: Destination) -> Exported:
    """Export a loaded module; raises ExportError."""
    options, examples = read_options(request, module)
    if request.model_format is Format.TORCHSCRIPT:
        return export(module, examples, options, destination, trace=request.trace)
    from triton_operator.export import aotinductor

    return aotinductor.export(module, examples, options, destination)


def read_options(request: ExportRequest, module: nn.Module) -> tuple[ExportOptions, list[list[Value]]]:
    """Return the options, and the examples from files or generated from the inputs; raises ExportError."""
    inputs = [read_input(text, index) for index, text in enumerate(request.inputs)]
    declared = [each.tensor for each in inputs]
    names = tuple(each.name for each in declared)
    batched = request.max_batch_size > 0
    if request.examples:
        read = [read_example(path, declared, argument_names(module), batched=batched) for path in request.examples]
        check_open_sizes(declared, read, batched=batched)
        names = names or read[0].names
        examples = [each.values for each in read]
    else:
        examples = make_examples(inputs, batched=batched)
    options = ExportOptions(
        name_of_request(request), names, request.output_names, request.max_batch_size, request.tolerance
    )
    return options, examples


def load_module(path: Path, attribute: str) -> nn.Module:
    """Return the module that NAME refers to, or that NAME returns when called; raises ExportError."""
    found = load_attribute(path, attribute)
    try:
        module = found if isinstance(found, nn.Module) else found()
    except (Exception, SystemExit) as error:
        raise ExportError(f"{path}:{attribute}: {_described(error)}") from error
    if not isinstance(module, nn.Module):
        raise ExportError(f"{path}:{attribute}: must be a torch.nn.Module or return one, not {type(module).__name__}")
    return module


def load_attribute(path: Path, attribute: str) -> Any:
    """Execute the user's file once, and return one of its attributes. Raises ExportError."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ExportError(f"{path}: there is no such Python file")
    loaded = sys.modules.get(path.stem)
    try:
        if getattr(loaded, "__file__", None) != str(path):
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[path.stem] = loaded  # torch reads the source of a class from it.
            sys.path.insert(0, str(path.parent))
            try:
                spec.loader.exec_module(loaded)
            except BaseException:
                del sys.modules[path.stem]
                raise
            finally:
                sys.path.remove(str(path.parent))
        return getattr(loaded, attribute)
    except (Exception, SystemExit) as error:
        raise ExportError(f"{path}:{attribute}: {_described(error)}") from error


def _described(error: BaseException) -> str:
    """Describe an error of the user's code, which may also try to end the program."""
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({'' if error.code is None else repr(error.code)}), but must only define the module"
    return f"{type(error).__name__}: {error}"
