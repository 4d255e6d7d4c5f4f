"""Names of a model's tensors, by the rules of Triton's PyTorch backend. Pure; `exporter` calls it.

Input names are forward()'s own argument names, or end in `__<position>`; with any other name Triton takes the order of
the configuration, which nobody checks, so that is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triton_operator.api.names import wrong_model_name
from triton_operator.export.errors import ExportError

_INDEXED = re.compile(r".+__(\d+)")


def check_model_name(name: str) -> None:
    """Refuse what cannot be a folder; raises ExportError."""
    if problem := wrong_model_name(name):
        raise ExportError(f'"{name}" cannot be the name of a model: {problem}')


def choose_input_names(arguments: Sequence[str], chosen: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of `count` inputs, INPUT__0 and so on unless they are given.

    `arguments` are forward()'s. They keep their order in the configuration, by which a compiled model gets them.
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
    """What can be said of names without forward(); `kind` is input or output. Raises ExportError."""
    if len(set(names)) < len(names):
        raise ExportError(f"names of {kind}s must differ: {', '.join(names)}")
    if names and all(map(_INDEXED.fullmatch, names)) and not _are_positions(names):
        raise ExportError(f"{kind} names {', '.join(names)} end in numbers, so these must be __0, __1 and so on")


def choose_output_names(chosen: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of `count` outputs, OUTPUT__0 and so on unless they are given."""
    names = tuple(chosen) or tuple(f"OUTPUT__{index}" for index in range(count))
    _check(names, count, "output")
    return names


def _check(names: tuple[str, ...], count: int, kind: str) -> None:
    if len(names) != count:
        raise ExportError(f"there are {count} {kind}s and {len(names)} names: {', '.join(names)}")
    check_names(names, kind)


def _are_positions(names: tuple[str, ...]) -> bool:
    return all((match := _INDEXED.fullmatch(name)) and int(match[1]) == at for at, name in enumerate(names))
