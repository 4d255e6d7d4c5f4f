"""Compiles a module to TorchScript, and writes the model's folder when both answer alike.

Input: a module with examples, names, and a place. Output: `<folder>/<name>/<version>/model.pt` and what belongs to it.
Needs torch; `triton_operator.export` is the way in.
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
"""Positional arguments of forward(): tensors, and lists of str for text; one tensor may stand for itself."""


def export(
    module: nn.Module, examples: Sequence[Arguments], options: ExportOptions, destination: Destination, *, trace: bool
) -> Exported:
    """Write the model; raises ExportError."""
    check_model_name(options.name)
    inputs = [as_sequence(each) for each in examples]
    check_arguments(module, len(inputs[0]))
    recorded = record_runs(module.eval(), inputs, options, argument_names(module))
    compiled = compile_module(module, inputs[0], trace=trace)
    with tempfile.TemporaryDirectory(prefix="triton-operator-export-") as folder:
        draft = Path(folder, "archive")  # torch calls the folder inside the archive after the file.
        with deprecation_known():
            torch.jit.save(compiled, draft)
        comparison = _compare(module, compiled, draft, recorded, options)
        path = model_path(destination, options.name)
        write_archive(draft, path, comparison.signature)
    return finish(path, module, comparison, options, destination)


def export_file(
    source: Path, examples: Sequence[Arguments], options: ExportOptions, destination: Destination
) -> Exported:
    """Give a TorchScript file its signature; everything else in it stays. Raises ExportError."""
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
    """Refuse a forward() whose first `count` arguments are nothing that Triton passes; raises ExportError."""
    for name, kind in list(_argument_types(module).items())[:count]:
        if kind.replace("torch.", "").replace("list", "List") not in _PASSED:
            instead = _INSTEAD.get(kind, _LIST)
            raise ExportError(f"forward() takes {name} as {kind}; Triton passes tensors and lists of str, so {instead}")


def _argument_types(module: nn.Module) -> dict[str, str]:
    """Types as the module says them; "Tensor" where it says nothing."""
    if isinstance(module, torch.jit.ScriptModule):
        schema = module.forward.schema.arguments[1:]  # type: ignore[attr-defined]
        return {each.name: str(each.type) for each in schema}
    try:
        hints = get_type_hints(module.forward)
    except Exception:  # noqa: BLE001 - names that its file does not know: torch will say it.
        return {}
    return {name: _type_text(hints[name]) if name in hints else "Tensor" for name in argument_names(module)}


def _type_text(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def load_file(source: Path) -> torch.jit.ScriptModule:
    """A TorchScript file as it is served; raises ExportError."""
    try:
        return load(source).eval()
    except (RuntimeError, ValueError) as error:
        raise ExportError(f"{source} cannot be loaded: {sentence(error)}") from error


def _compare(
    module: nn.Module, compiled: torch.jit.ScriptModule, file: Path, recorded: RecordedRuns, options: ExportOptions
) -> Comparison:
    """The module with its compiled form, and with what a server makes of the file."""
    furthest = compare(recorded, compiled, options)
    furthest = max(furthest, compare_served(file, module, recorded, options.tolerance))
    return Comparison(recorded.signature, furthest, recorded.runs)


def compile_module(module: nn.Module, example: Sequence[Value], *, trace: bool) -> torch.jit.ScriptModule:
    """The module as TorchScript; raises ExportError with torch's own sentence."""
    try:
        with deprecation_known(), torch.inference_mode(mode=False), torch.no_grad():
            compiled = _trace(module, example) if trace else torch.jit.script(module)
    except Exception as error:
        way = "traced" if trace else "scripted; trace=True records one run instead, where no `if` decides by values"
        raise ExportError(f"the module cannot be {way}: {sentence(error)}") from error
    assert isinstance(compiled, torch.jit.ScriptModule), type(compiled)  # noqa: S101 - a module goes in
    return compiled


def load(path: Path) -> torch.jit.ScriptModule:
    """Read a TorchScript file onto the processor; torch raises RuntimeError or ValueError for any other file."""
    with deprecation_known():
        module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


_PASSED = {"Tensor", "List[str]", "Any", "object", "Optional[Tensor]", "Tensor | None"}

_LIST = "take one tensor with a dimension more, or an argument for each (forward() may put them into a list itself)"

_NUMBER = "take a tensor of one element, and .item() inside of forward()"

_INSTEAD = {"int": _NUMBER, "float": _NUMBER, "bool": _NUMBER, "str": "take a list of str with one element"}


@contextmanager
def deprecation_known() -> Iterator[None]:
    """Silence PyTorch's advice to leave TorchScript for torch.export (a FutureWarning since 2.10).

    Triton's PyTorch backend serves TorchScript, and on a processor nothing else. The advice would come once per layer.
    Tracing also reads every property of a module, and in `transformers` one that is going to leave says so.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=FutureWarning)
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        yield


def _trace(module: nn.Module, example: Sequence[Value]) -> object:
    return torch.jit.trace(module, tuple(example))  # type: ignore[no-untyped-call]


def as_sequence(example: Arguments) -> Sequence[Value]:
    """As with torch.jit.trace; a tensor that is left alone would be taken apart by its rows."""
    return (example,) if isinstance(example, torch.Tensor) else tuple(example)


def argument_names(module: nn.Module) -> list[str]:
    """Those of forward() that a call may give by position."""
    if isinstance(module, torch.jit.ScriptModule):
        return [each.name for each in module.forward.schema.arguments[1:]]  # type: ignore[attr-defined]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, each in inspect.signature(module.forward).parameters.items() if each.kind in kinds]
