"""How a model's inputs and outputs in config.pbtxt meet the arguments and results of its forward().

In: the model's config as Triton gives it (a dictionary) and the signature of forward(). Out: `Interface`. Pure: neither
Triton nor torch is imported. The rules are those of Triton's native pytorch backend, in this order:
1. all input names are names of arguments: each goes to the argument of its name;
2. all input names end in `__<index>`: the index is the argument's position;
3. otherwise the order in config.pbtxt is the order of the arguments.
A single argument of type Dict[str, Tensor] gets all inputs by name. Outputs go by `__<index>`, else by order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_INDEXED = re.compile(r".+__(\d+)")
_DICTIONARY = "Dict[str, Tensor]"


class InterfaceError(Exception):
    """config.pbtxt and the model do not fit together; the message says what each of them has."""


@dataclass(frozen=True)
class Argument:
    """One argument of forward(), without `self`; `kind` as TorchScript writes the type."""

    name: str
    kind: str = "Tensor"
    has_default: bool = False


@dataclass(frozen=True)
class Entry:
    """One input or output of config.pbtxt; `dtype` without `TYPE_`, `dims` without the batch dimension."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True)
class Interface:
    """The mapping. `targets` has the argument name of each input, or None where it is positional, in `order`."""

    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    order: tuple[int, ...]  # order[i]: which input is argument i
    names: tuple[str, ...]  # argument name of each input, for inputs that go by name
    results: tuple[int, ...]  # results[i]: which result is output i
    as_dictionary: bool = False

    def arguments(self, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arrange the inputs' values (in the order of the config) as positional and named arguments.

        An optional input that was not sent (None) is left out where names allow it, so that the default holds.
        """
        if self.as_dictionary:
            sent = zip(self.inputs, values, strict=True)
            return [{entry.name: value for entry, value in sent if value is not None}], {}
        if self.names:
            sent_by_name = zip(self.names, values, strict=True)
            return [], {name: value for name, value in sent_by_name if value is not None}
        return [values[index] for index in self.order], {}

    def pick_outputs(self, result: Any) -> list[Any]:
        """Give the results in the order of the config's outputs; a list of strings is one result."""
        results = result if isinstance(result, tuple) else (result,)
        missing = [entry.name for entry, index in zip(self.outputs, self.results, strict=True) if index >= len(results)]
        if missing:
            raise InterfaceError(
                f"forward() returned {len(results)} result(s), so there is none for output {', '.join(missing)}"
            )
        return [results[index] for index in self.results]


def read_interface(config: dict[str, Any], forward: list[Argument]) -> Interface:
    """Work out the mapping. Raises `InterfaceError` when the model cannot be called with these inputs."""
    inputs, outputs = _entries(config, "input"), _entries(config, "output")
    results = _indices(outputs) or tuple(range(len(outputs)))
    if len(forward) == 1 and forward[0].kind == _DICTIONARY:
        return Interface(inputs, outputs, (), (), results, as_dictionary=True)
    given = tuple(entry.name for entry in inputs)
    if set(given) <= {argument.name for argument in forward}:
        _require_all(forward, set(given), given)
        return _by_name(inputs, outputs, results, given, [argument.name for argument in forward])
    order = _positions(inputs) or tuple(range(len(inputs)))
    _require_all(forward, {argument.name for argument in forward[: len(order)]}, given)
    if len(order) > len(forward):
        raise _mismatch(forward, given)
    return Interface(inputs, outputs, order, (), results)


def _by_name(
    inputs: tuple[Entry, ...],
    outputs: tuple[Entry, ...],
    results: tuple[int, ...],
    given: tuple[str, ...],
    wanted: list[str],
) -> Interface:
    """Call by position where the inputs fill the first arguments: TorchScript is quicker that way."""
    if set(given) == set(wanted[: len(given)]) and not any(entry.optional for entry in inputs):
        order = tuple(given.index(name) for name in wanted[: len(given)])
        return Interface(inputs, outputs, order, (), results)
    return Interface(inputs, outputs, (), given, results)


def _entries(config: dict[str, Any], kind: str) -> tuple[Entry, ...]:
    entries = config.get(kind) or []
    if not entries:
        raise InterfaceError(f"config.pbtxt declares no {kind}: the backend cannot guess it, so add `{kind} [...]`")
    return tuple(
        Entry(
            entry["name"],
            entry["data_type"].removeprefix("TYPE_"),
            tuple(int(size) for size in entry.get("dims", [])),
            bool(entry.get("optional")),
        )
        for entry in entries
    )


def _indices(entries: tuple[Entry, ...]) -> tuple[int, ...]:
    """Give the index in each name, or nothing unless all have one."""
    found = [_INDEXED.fullmatch(entry.name) for entry in entries]
    return tuple(int(match[1]) for match in found if match) if all(found) else ()


def _positions(inputs: tuple[Entry, ...]) -> tuple[int, ...]:
    """Give for each argument the input that goes there, by the indices in the names; nothing if there are none."""
    indices = _indices(inputs)
    if indices and sorted(indices) != list(range(len(indices))):
        raise InterfaceError(
            f"inputs {', '.join(entry.name for entry in inputs)} end in __<index>, "
            f"so their indices must be 0 to {len(indices) - 1}, each once"
        )
    return tuple(indices.index(position) for position in range(len(indices)))


def _require_all(forward: list[Argument], covered: set[str], given: tuple[str, ...]) -> None:
    if any(argument.name not in covered and not argument.has_default for argument in forward):
        raise _mismatch(forward, given)


def _mismatch(forward: list[Argument], given: tuple[str, ...]) -> InterfaceError:
    wanted = ", ".join(argument.name + ("=…" if argument.has_default else "") for argument in forward)
    return InterfaceError(
        f"config.pbtxt declares {len(given)} input(s) ({', '.join(given)}), but forward() of the model takes ({wanted})"
    )
