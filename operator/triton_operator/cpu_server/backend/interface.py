"""How a model's inputs and outputs in config.pbtxt meet the arguments and results of its forward().

Input: the model's config as Triton gives it (a dictionary) and the signature of forward(). Output: `Interface`. Pure:
neither Triton nor torch is imported. The rules are those of Triton's native pytorch backend, in this order: 1. all
input names are names of arguments: each goes to the argument of its name; 2. all input names end in `__<index>`: the
index is the argument's position; 3. otherwise the order in config.pbtxt is the order of the arguments. A single
argument of type Dict[str, Tensor] gets all inputs by name. Outputs go by `__<index>`, else by order. Behind the inputs
come what `batch_input` counts, and the controls and states of `sequence_batching`; behind the outputs come the states
again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_INDEXED = re.compile(r".+__(\d+)")
_DICTIONARY = "Dict[str, Tensor]"
_TEXTS = "List[str]"
_NUMBERS = "Tensor"
_ANY = {"Any", "NoneType"}


class InterfaceError(Exception):
    """config.pbtxt and the model do not fit together; the message says what each of them has."""


@dataclass(frozen=True)
class Argument:
    """One argument of forward(), without `self`; `kind` as TorchScript writes the type."""

    name: str
    kind: str = "Tensor"
    has_default: bool = False


class Role(Enum):
    """Who fills an input, or takes an output."""

    CLIENT = auto()
    COUNT = auto()
    """The backend counts it from another input: `batch_input`; or cuts it by one: `batch_output`."""
    CONTROL = auto()
    """Triton says where in its sequence a request is."""
    STATE = auto()
    """Goes from one request of a sequence to the next."""


@dataclass(frozen=True)
class Entry:
    """One input or output; `dtype` without `TYPE_`, `dims` as the model sees them, without the batch dimension."""

    name: str
    dtype: str
    dims: tuple[int, ...]
    optional: bool = False
    role: Role = Role.CLIENT
    ragged: bool = False
    """Requests of different shapes go to the model as one row of numbers."""
    kind: str = ""
    """How a COUNT follows from `source`, an input."""
    source: str = ""
    starts_given: bool = False
    """Triton gives what the state is at the start of a sequence; otherwise it is zeros."""


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

    @property
    def states(self) -> tuple[Entry, ...]:
        """The inputs that are states, in the order of the outputs that are."""
        return tuple(entry for entry in self.inputs if entry.role is Role.STATE)


def read_interface(config: dict[str, Any], forward: list[Argument]) -> Interface:
    """Work out the mapping. Raises `InterfaceError` when the model cannot be called with these inputs."""
    inputs, outputs = _inputs(config), _outputs(config)
    results = _indices(outputs) or tuple(range(len(outputs)))
    if len(forward) == 1 and forward[0].kind == _DICTIONARY:
        return Interface(inputs, outputs, (), (), results, as_dictionary=True)
    given = tuple(entry.name for entry in inputs)
    if set(given) <= {argument.name for argument in forward}:
        _require_all(forward, set(given), given)
        by_name = {argument.name: argument for argument in forward}
        _check_kinds((entry, by_name[entry.name]) for entry in inputs)
        return _by_name(inputs, outputs, results, given, [argument.name for argument in forward])
    order = _positions(inputs) or tuple(range(len(inputs)))
    _require_all(forward, {argument.name for argument in forward[: len(order)]}, given)
    if len(order) > len(forward):
        raise _mismatch(forward, given)
    _check_kinds((inputs[index], argument) for index, argument in zip(order, forward, strict=False))
    return Interface(inputs, outputs, order, (), results)


def _check_kinds(pairs: Iterator[tuple[Entry, Argument]]) -> None:
    """Refuse an argument that no input can be: torch would say so with every request."""
    for entry, argument in pairs:
        kind = (
            argument.kind.removeprefix("Optional[").removesuffix("]") if "Optional" in argument.kind else argument.kind
        )
        if kind in _ANY or kind.startswith("Union["):
            continue
        if kind not in {_NUMBERS, _TEXTS}:
            raise InterfaceError(
                f"input '{entry.name}' goes to argument '{argument.name}' of forward(), which is {argument.kind}: "
                "Triton passes tensors, and List[str] for TYPE_STRING; take a Tensor there and convert it in forward()"
            )
        if (kind == _TEXTS) != (entry.dtype == "STRING"):
            raise InterfaceError(
                f"input '{entry.name}' is TYPE_{entry.dtype}, but argument '{argument.name}' of forward() is "
                f"{argument.kind}: TYPE_STRING goes to List[str], every other type to Tensor"
            )


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


def _inputs(config: dict[str, Any]) -> tuple[Entry, ...]:
    counts = (
        Entry(name, _dtype(each), (), role=Role.COUNT, kind=each["kind"], source=each["source_input"][0])
        for each in config.get("batch_input") or []
        for name in each["target_name"]
    )
    sequence = config.get("sequence_batching") or {}
    controls = (_control(each) for each in sequence.get("control_input") or [])
    states = (_state(each, each["input_name"]) for each in sequence.get("state") or [])
    return (*_entries(config, "input"), *counts, *controls, *states)


def _outputs(config: dict[str, Any]) -> tuple[Entry, ...]:
    states = (_state(each, each["output_name"]) for each in (config.get("sequence_batching") or {}).get("state") or [])
    return (*_entries(config, "output"), *states)


def _entries(config: dict[str, Any], kind: str) -> tuple[Entry, ...]:
    entries = config.get(kind) or []
    if not entries:
        raise InterfaceError(f"config.pbtxt declares no {kind}: the backend cannot guess it, so add `{kind} [...]`")
    cut = {
        name: (each["kind"], each["source_input"][0])
        for each in config.get(f"batch_{kind}") or []
        for name in each["target_name"]
        if kind == "output"
    }
    return tuple(
        Entry(
            entry["name"],
            _dtype(entry),
            _sizes(entry["reshape"].get("shape") if entry.get("reshape") is not None else entry.get("dims")),
            bool(entry.get("optional")),
            role=Role.COUNT if entry["name"] in cut else Role.CLIENT,
            ragged=bool(entry.get("allow_ragged_batch")),
            kind=cut.get(entry["name"], ("", ""))[0],
            source=cut.get(entry["name"], ("", ""))[1],
        )
        for entry in entries
    )


def _control(entry: dict[str, Any]) -> Entry:
    """A control says its type by which pair of values it has; CORRID by its own field."""
    control = entry["control"][0]
    typed = {"int32_false_true": "INT32", "fp32_false_true": "FP32", "bool_false_true": "BOOL"}
    dtype = next((dtype for field, dtype in typed.items() if control.get(field)), None) or _dtype(control)
    return Entry(entry["name"], dtype, (1,), role=Role.CONTROL)


def _state(entry: dict[str, Any], name: str) -> Entry:
    given = bool(entry.get("initial_state"))
    return Entry(name, _dtype(entry), _sizes(entry.get("dims")), role=Role.STATE, starts_given=given)


def _dtype(entry: dict[str, Any]) -> str:
    return str(entry["data_type"]).removeprefix("TYPE_")


def _sizes(sizes: list[Any] | None) -> tuple[int, ...]:
    return tuple(int(size) for size in sizes or [])


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
