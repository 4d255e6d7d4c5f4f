"""Load a TorchScript file.

Input: a path. Output: the module and the arguments of its forward(), or `LoadError`. Called by `model`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from archive import TORCHSCRIPT, LoadError, kind_of, name_of, reason_of
from interface import Argument, Interface
from trial import Form
from value_sized import value_sized

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_NAME = "model.pt"
_EXPORT = "export it with torch.jit.script(model.eval()).save('model.pt')"


def load(path: Path) -> tuple[Any, list[Argument]]:
    """Load for the CPU, whatever device it was saved from. Raises `LoadError`."""
    name = name_of(path)
    kind = kind_of(path, TORCHSCRIPT)
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


def why_alone(module: Any, interface: Interface) -> str:
    """Say why requests cannot run as one whatever they hold; "" when they may."""
    if any(entry.dtype == "STRING" and -1 in entry.dims for entry in interface.outputs):
        return "a list of text for each row may have any length"
    names = [argument.name for argument in module.forward.schema.arguments[1:]]
    placed = [(place, interface.inputs[index]) for place, index in enumerate(interface.order)] or [
        (names.index(name), entry) for name, entry in zip(interface.names, interface.inputs, strict=False)
    ]
    whole = frozenset(place for place, entry in placed if entry.dtype.startswith("INT"))
    found = value_sized(module, whole)
    return f"the values in a request may decide how many rows {found} gives" if found else ""


def prepare(module: Any, *, optimized: bool) -> Any:
    """Give the module as a server serves it, unless it fails so: see `forms`."""
    made = forms(module) if optimized else []
    return made[0].make() if made else module


def forms(module: Any) -> list[Form]:
    """Give the ways to prepare a module, best first.

    Weights are frozen into the graph and, for convolutions, reordered for the CPU (2.5 times the throughput). A module
    that cannot be frozen, because it changes its own attributes, is left as it is.
    """
    try:
        frozen = freeze(module)
    except RuntimeError:
        return []
    plain = Form("frozen", lambda: frozen)
    return [Form("optimised", lambda: _optimise(freeze(module))), plain] if _has_convolution(frozen) else [plain]


def freeze(module: Any) -> Any:
    """Freeze; raises RuntimeError.

    Freezing removes the functions of its own copy that it inlined, and an error inside of them, with the trace that
    torch writes of it, reads them again: signal 11 (torch 2.15). Those of `module` stay.
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
