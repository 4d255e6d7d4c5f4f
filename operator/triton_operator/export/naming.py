"""Check and choose names of tensors by the rules of Triton's PyTorch backend. Pure; `exporter` calls it.

Input names must be the argument names of forward() or end in `__<position>`. For other names, Triton uses the order of
the configuration without checking it, so other names are rejected here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triton_operator.api.names import wrong_model_name
from triton_operator.export.errors import ExportError

_INDEXED = re.compile(r".+__(\d+)")


def check_model_name(name: str) -> None:
    """Reject names that cannot be a folder; raises ExportError."""
    if problem := wrong_model_name(name):
        raise ExportError(f'"{name}" cannot be the name of a model: {problem}')


def choose_input_names(arguments: Sequence[str], chosen: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the names of `count` inputs: `chosen`, or by default INPUT__0 and so on.

    `arguments` are the argument names of forward(). Names keep this order in the configuration, because a compiled
    model receives its inputs in the order of the configuration.
    """
    names = tuple(chosen) or tuple(f"INPUT__{index}" for index in range(count))
    _check(names, count, "input")
    if _are_positions(names):
        return names
    if names != tuple(arguments[:count]):
        raise ExportError(
            f"input names {', '.join(names)}: use forward()'s own argument names ({', '.join(arguments)}), "
            "or names that end in __0, __1 and so on"
        )
    return names


def check_names(names: tuple[str, ...], kind: str) -> None:
    """Check names without knowledge of forward(); `kind` is input or output. Raises ExportError."""
    if len(set(names)) < len(names):
        raise ExportError(f"names of {kind}s must differ: {', '.join(names)}")
    if names and all(map(_INDEXED.fullmatch, names)) and not _are_positions(names):
        raise ExportError(f"{kind} names {', '.join(names)} end in numbers, so these must be __0, __1 and so on")


def choose_output_names(chosen: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the names of `count` outputs: `chosen`, or by default OUTPUT__0 and so on."""
    names = tuple(chosen) or tuple(f"OUTPUT__{index}" for index in range(count))
    _check(names, count, "output")
    return names


def _check(names: tuple[str, ...], count: int, kind: str) -> None:
    if len(names) != count:
        raise ExportError(f"there are {count} {kind}s and {len(names)} names: {', '.join(names)}")
    check_names(names, kind)


def _are_positions(names: tuple[str, ...]) -> bool:
    return all((match := _INDEXED.fullmatch(name)) and int(match[1]) == at for at, name in enumerate(names))
