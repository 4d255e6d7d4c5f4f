"""Load a TorchScript file.

Input: a path. Output: the module and the arguments of its forward(), or `LoadError`. `model` calls it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from archive import TORCHSCRIPT, LoadError, detect_kind, name_of, reason_of
from data_dependent import data_dependent_operation
from interface import Argument, Interface
from trial import Form

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_NAME = "model.pt"
_EXPORT = "export it with torch.jit.script(model.eval()).save('model.pt')"


def load(path: Path) -> tuple[Any, list[Argument]]:
    """Load a module to the CPU, whatever device it was saved on. Raises `LoadError`."""
    name = name_of(path)
    kind = detect_kind(path, TORCHSCRIPT)
    if kind != TORCHSCRIPT:
        raise LoadError(f"{name} is {kind}, not TorchScript: {_EXPORT}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "torch.jit.load is deprecated", at each start
            module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        forward = [
            Argument(argument.name, str(argument.type), argument.has_default_value())
            for argument in module.forward.schema.arguments[1:]
        ]
    except (RuntimeError, ValueError, AttributeError, OSError) as error:
        raise LoadError(f"{name} cannot be loaded by torch {torch.__version__}: {reason_of(error)}") from error
    return module, forward


def why_not_batchable(module: Any, interface: Interface) -> str:
    """The reason why requests can never be batched; "" if they may be."""
    if any(spec.dtype == "STRING" and -1 in spec.dims for spec in interface.outputs):
        return "each row may produce a list of texts of any length"
    names = [argument.name for argument in module.forward.schema.arguments[1:]]
    by_position = [(position, interface.inputs[index]) for position, index in enumerate(interface.order)] or [
        (names.index(name), spec) for name, spec in zip(interface.names, interface.inputs, strict=False)
    ]
    integers = frozenset(position for position, spec in by_position if spec.dtype.startswith("INT"))
    found = data_dependent_operation(module, integers)
    return f"the number of rows that {found} returns may depend on the values in a request" if found else ""


def prepare(module: Any, *, optimized: bool) -> Any:
    """Return the module in the preferred form without trying it: see `forms`."""
    found = forms(module) if optimized else []
    return found[0].make() if found else module


def forms(module: Any) -> list[Form]:
    """Return the forms that a module can be prepared in, in order of preference.

    Weights are frozen into the graph and, for convolutions, reordered for the CPU (2.5 times the throughput). A module
    that changes its own attributes cannot be frozen, so the list is empty.
    """
    try:
        frozen = freeze(module)
    except RuntimeError:
        return []
    plain = Form("frozen", lambda: frozen)
    return [Form("optimised", lambda: _optimise(freeze(module))), plain] if _has_convolution(frozen) else [plain]


def freeze(module: Any) -> Any:
    """Freeze a module; raises RuntimeError.

    Freezing removes the inlined functions of its own copy. If an error occurs in one of them, torch reads the removed
    function to write the trace: signal 11 (torch 2.15). Inlining first keeps the functions of `module`.
    """
    torch._C._jit_pass_inline(module.graph)  # noqa: SLF001
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(module)


def _optimise(frozen: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.optimize_for_inference(frozen)


def _has_convolution(module: Any) -> bool:
    graph = str(module.inlined_graph)
    return "aten::conv" in graph or "aten::_conv" in graph
