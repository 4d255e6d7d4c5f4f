"""Compile a module to TorchScript, and write the model folder if both return the same outputs.

Input: a module with examples, options, and a destination. Output: `<folder>/<name>/<version>/model.pt` and the other
files of the model folder. Requires torch; `triton_operator.export` is the public interface.
"""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, get_args, get_type_hints

import torch
from torch import nn

from triton_operator.export.archive import write_archive
from triton_operator.export.equivalence_check import Comparison, ExportOptions, RecordedRuns, compare, record_runs
from triton_operator.export.errors import ExportError
from triton_operator.export.folder import Destination, Exported, finish, model_path
from triton_operator.export.naming import check_model_name
from triton_operator.export.served_form import compare_served
from triton_operator.export.tensors import Value
from triton_operator.export.torch_message import sentence

__all__ = ["Arguments", "Destination", "ExportOptions", "Exported", "export", "export_file", "load"]

Arguments: TypeAlias = Sequence[Value] | torch.Tensor
"""Positional arguments of forward(): tensors, and lists of str for text; or a single tensor."""


def export(
    module: nn.Module, examples: Sequence[Arguments], options: ExportOptions, destination: Destination, *, trace: bool
) -> Exported:
    """Write the model folder; raises ExportError."""
    check_model_name(options.name)
    inputs = [as_sequence(each) for each in examples]
    check_arguments(module, len(inputs[0]))
    recorded = record_runs(module.eval(), inputs, options, argument_names(module))
    compiled = compile_module(module, inputs[0], trace=trace)
    with tempfile.TemporaryDirectory(prefix="triton-operator-export-") as folder:
        draft = Path(folder, "archive")  # torch names the folder inside the archive after the file.
        with deprecation_known():
            torch.jit.save(compiled, draft)
        comparison = _compare(module, compiled, draft, recorded, options)
        path = model_path(destination, options.name)
        write_archive(draft, path, comparison.signature)
    return finish(path, module, comparison, options, destination)


def export_file(
    source: Path, examples: Sequence[Arguments], options: ExportOptions, destination: Destination
) -> Exported:
    """Add a signature to a TorchScript file without other changes, and write the folder. Raises ExportError."""
    check_model_name(options.name)
    compiled = load_file(source)
    inputs = [as_sequence(each) for each in examples]
    check_arguments(compiled, len(inputs[0]))
    recorded = record_runs(compiled, inputs, options, argument_names(compiled))
    comparison = _compare(compiled, compiled, source, recorded, options)
    path = model_path(destination, options.name)
    write_archive(source, path, comparison.signature)
    return finish(path, compiled, comparison, options, destination)


def check_arguments(module: nn.Module, count: int) -> None:
    """Reject a forward() whose first `count` arguments have unsupported types; raises ExportError."""
    for name, kind in list(_argument_types(module).items())[:count]:
        if kind.replace("torch.", "").replace("list", "List") not in _PASSED:
            instead = _INSTEAD.get(kind, _LIST)
            raise ExportError(f"forward() takes {name} as {kind}; Triton passes tensors and lists of str, so {instead}")


def _argument_types(module: nn.Module) -> dict[str, str]:
    """Return the declared types of the arguments, or Tensor for arguments without an annotation."""
    if isinstance(module, torch.jit.ScriptModule):
        schema = module.forward.schema.arguments[1:]  # type: ignore[attr-defined]
        return {each.name: str(each.type) for each in schema}
    try:
        hints = get_type_hints(module.forward)
    except Exception:  # noqa: BLE001 - annotations with undefined names; torch reports them when it compiles.
        return {}
    return {name: _type_text(hints[name]) if name in hints else "Tensor" for name in argument_names(module)}


def _type_text(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def load_file(source: Path) -> torch.jit.ScriptModule:
    """Load a TorchScript file in evaluation mode; raises ExportError."""
    try:
        return load(source).eval()
    except (RuntimeError, ValueError) as error:
        raise ExportError(f"{source} cannot be loaded: {sentence(error)}") from error


def _compare(
    module: nn.Module, compiled: torch.jit.ScriptModule, file: Path, recorded: RecordedRuns, options: ExportOptions
) -> Comparison:
    """Compare the module with its compiled form, and with the form that a server derives from the file."""
    furthest = compare(recorded, compiled, options)
    furthest = max(furthest, compare_served(file, module, recorded, options.tolerance))
    return Comparison(recorded.signature, furthest, recorded.runs)


def compile_module(module: nn.Module, example: Sequence[Value], *, trace: bool) -> torch.jit.ScriptModule:
    """Compile the module to TorchScript; raises ExportError with the message of torch."""
    try:
        with deprecation_known(), torch.inference_mode(mode=False), torch.no_grad():
            compiled = _trace(module, example) if trace else torch.jit.script(module)
    except Exception as error:
        way = "traced" if trace else "scripted; if no `if` depends on values, use trace=True, which records one run"
        raise ExportError(f"the module cannot be {way}: {sentence(error)}") from error
    assert isinstance(compiled, torch.jit.ScriptModule), type(compiled)  # noqa: S101 - compiling a module returns a module.
    return compiled


def load(path: Path) -> torch.jit.ScriptModule:
    """Load a TorchScript file onto the CPU; torch raises RuntimeError or ValueError for any other file."""
    with deprecation_known():
        module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


_PASSED = {"Tensor", "List[str]", "Any", "object", "Optional[Tensor]", "Tensor | None"}

_LIST = "use one tensor with an additional dimension, or one argument for each (forward() can build the list)"

_NUMBER = "use a tensor of one element, and .item() inside forward()"

_INSTEAD = {"int": _NUMBER, "float": _NUMBER, "bool": _NUMBER, "str": "use a list of str with one element"}


@contextmanager
def deprecation_known() -> Iterator[None]:
    """Silence PyTorch's advice to replace TorchScript with torch.export (a FutureWarning since 2.10).

    Triton's PyTorch backend serves TorchScript, and on CPUs no other format. The warning would be shown once per layer.
    Tracing also reads every property of a module, and a deprecated property in `transformers` warns.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        yield


def _trace(module: nn.Module, example: Sequence[Value]) -> object:
    return torch.jit.trace(module, tuple(example))  # type: ignore[no-untyped-call]


def as_sequence(example: Arguments) -> Sequence[Value]:
    """Return a tuple of arguments, as torch.jit.trace does; a single tensor is not split into its rows."""
    return (example,) if isinstance(example, torch.Tensor) else tuple(example)


def argument_names(module: nn.Module) -> list[str]:
    """Return the positional argument names of forward()."""
    if isinstance(module, torch.jit.ScriptModule):
        return [each.name for each in module.forward.schema.arguments[1:]]  # type: ignore[attr-defined]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, each in inspect.signature(module.forward).parameters.items() if each.kind in kinds]
