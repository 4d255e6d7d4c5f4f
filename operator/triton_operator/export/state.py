"""Check that a module returns the same outputs for the same inputs: it keeps no state and draws no random numbers.

Input: a module, and a few recorded runs. Output: None, or ExportError that says what to change. `equivalence_check`
calls it. A server has several callers and several instances of a model, so state of one call would affect the outputs
of another caller. Requires torch.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from triton_operator.export.drawing import extremes
from triton_operator.export.errors import ExportError
from triton_operator.export.forward_runs import Forward, ForwardRun, call_forward, describe_difference
from triton_operator.export.tensors import difference

_TURNS = 2
"""Number of times that every run is repeated, alternating with the others."""

_TURNS_WHEN_SUSPECTED = 25
"""The same if an attribute or the random state changed, but no output so far."""

_PLAIN = (torch.Tensor, bool, int, float, str, list, tuple, dict)

_SETS = re.compile(r'prim::SetAttr\[name="(\w+)"\]')

_WHO = "forward() returned"


def copy_unused(module: Forward) -> Forward | None:
    """Copy a module before its first run, which may set its state for good; None if it cannot be copied.

    The copy of a module that is not scripted shares its parameters, to save memory.
    """
    if not isinstance(module, nn.Module):
        return None
    try:
        return copy.deepcopy(module, {id(each): each for each in module.parameters()})
    except Exception:  # noqa: BLE001 - such a module is checked without a copy.
        return None


def check_state(
    module: Forward, unused: Forward | None, runs: Sequence[ForwardRun], names: Sequence[str], tolerance: float
) -> None:
    """Repeat each run twice in a row, after the others and after extreme inputs; raises ExportError if outputs change.

    Also runs them on an unused copy of the module in reverse order.
    """
    held, drawn = _held(module), torch.get_rng_state()
    _take_turns(module, runs, names, tolerance, held, _TURNS)
    if _changed(module, held) or not torch.equal(drawn, torch.get_rng_state()):
        _take_turns(module, runs, names, tolerance, held, _TURNS_WHEN_SUSPECTED)
    for each in extremes(runs[0].arguments):
        with suppress(ExportError):
            call_forward(module, each, _WHO)
    _take_turns(module, runs[:1], names, tolerance, held, 1)
    if unused is not None:
        _check_first_call(unused, runs, names, tolerance)


def _check_first_call(unused: Forward, runs: Sequence[ForwardRun], names: Sequence[str], tolerance: float) -> None:
    """Run the last run first: the module may keep something from its first input."""
    held = _held(unused)
    for run in reversed(runs):
        outputs = call_forward(unused, run.arguments, _WHO)
        if not difference(run.outputs, outputs) <= tolerance:
            name, by = describe_difference(run.outputs, outputs, names)
            raise _keeps_state(unused, held, f"output {name} of the same input differs {by} if another input is first")


def _take_turns(
    module: Forward,
    runs: Sequence[ForwardRun],
    names: Sequence[str],
    tolerance: float,
    held: dict[str, Any],
    turns: int,
) -> None:
    for run in (each for _ in range(turns) for each in runs for _ in range(2)):
        again = call_forward(module, run.arguments, _WHO)
        if difference(run.outputs, again) <= tolerance:
            continue
        name, by = describe_difference(run.outputs, again, names)
        where = f"output {name} of the same input differs {by} when it is run again"
        if _same_when_seeded(module, run, tolerance):
            raise ExportError(
                f"the module draws random numbers with each call: {where}. Turn off their source, for example "
                "dropout (a scripted or traced module keeps the mode that it was compiled in), or make them an input"
            )
        raise _keeps_state(module, held, where)


def _keeps_state(module: Forward, held: dict[str, Any], where: str) -> ExportError:
    changed = ", ".join(_changed(module, held))
    return ExportError(
        f"the module keeps state between calls{f' (it changes {changed})' if changed else ''}: {where}, so one "
        "caller's request would change another caller's outputs. Make the state an input and an output, which the "
        "caller passes back, or let Triton keep it for each sequence (sequence_batching with state)"
    )


def _same_when_seeded(module: Forward, run: ForwardRun, tolerance: float) -> bool:
    """Whether the random seed determines the outputs."""
    state = torch.get_rng_state()
    outputs = []
    for _ in range(3):
        torch.set_rng_state(state)
        outputs.append(call_forward(module, run.arguments, _WHO))
        drew = not torch.equal(state, torch.get_rng_state())
    return drew and all(difference(outputs[0], each) <= tolerance for each in outputs[1:])


def _held(module: Forward) -> dict[str, Any]:
    """Return what a module holds in addition to its weights: copies of tensors, and the rest as text."""
    if not isinstance(module, nn.Module):
        return {}
    held: dict[str, Any] = dict(module.named_buffers())
    if not isinstance(module, torch.jit.ScriptModule):
        for prefix, each in module.named_modules():
            own = {f"{prefix}.{name}".lstrip("."): value for name, value in vars(each).items() if name[0] != "_"}
            held |= {name: value for name, value in own.items() if isinstance(value, _PLAIN)}
    return {name: value.clone() if isinstance(value, torch.Tensor) else repr(value) for name, value in held.items()}


def _changed(module: Forward, before: dict[str, Any]) -> list[str]:
    """Return the names of changed attributes; for a scripted module, the attributes that its code sets."""
    after = _held(module)
    names = {name for name in before.keys() | after.keys() if not _alike(before.get(name), after.get(name))}
    if isinstance(module, torch.jit.ScriptModule):
        names |= set(_SETS.findall(str(module.inlined_graph)))
    return sorted(names)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    return type(one) is type(other) and bool(one == other)
