"""Map a model's inputs and outputs in config.pbtxt to the arguments and results of its forward().

Input: the model's configuration as a dictionary, as Triton passes it, and the signature of forward(). Output:
`Interface`. Pure: imports neither Triton nor torch. The rules are those of Triton's native pytorch backend, in this
order: 1. If all input names are argument names, each input is passed to the argument of the same name. 2. If all input
names end in `__<index>`, the index is the argument's position. 3. Otherwise, the order in config.pbtxt is the order of
the arguments. A single argument of type Dict[str, Tensor] receives all inputs by name. Outputs are mapped by
`__<index>`, otherwise by order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tensor_specs import InterfaceError, ModelTensor, Role, input_specs, output_specs

if TYPE_CHECKING:
    from collections.abc import Iterator

_INDEXED = re.compile(r".+__(\d+)")
_DICTIONARY = "Dict[str, Tensor]"
_TEXTS = "List[str]"
_NUMBERS = "Tensor"
_ANY = {"Any", "NoneType"}


@dataclass(frozen=True)
class Argument:
    """One argument of forward(), except `self`; `kind` is its type in TorchScript's notation."""

    name: str
    kind: str = "Tensor"
    has_default: bool = False


@dataclass(frozen=True)
class Interface:
    """The mapping of inputs to arguments, by position (`order`) or by name (`names`), and of results to outputs."""

    inputs: tuple[ModelTensor, ...]
    outputs: tuple[ModelTensor, ...]
    order: tuple[int, ...]  # order[i]: which input is argument i
    names: tuple[str, ...]  # argument name of each input, for inputs that go by name
    results: tuple[int, ...]  # results[i]: which result is output i
    as_dictionary: bool = False

    def arguments(self, values: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arrange the inputs' values (in the order of the config) as positional and keyword arguments.

        An optional input that was not sent (None) is omitted if arguments are passed by name, so that the argument's
        default applies.
        """
        if self.as_dictionary:
            sent = zip(self.inputs, values, strict=True)
            return [{spec.name: value for spec, value in sent if value is not None}], {}
        if self.names:
            sent_by_name = zip(self.names, values, strict=True)
            return [], {name: value for name, value in sent_by_name if value is not None}
        return [values[index] for index in self.order], {}

    def pick_outputs(self, result: Any) -> list[Any]:
        """Return the results in the order of the config's outputs; a list of strings is one result."""
        results = result if isinstance(result, tuple) else (result,)
        missing = [spec.name for spec, index in zip(self.outputs, self.results, strict=True) if index >= len(results)]
        if missing:
            raise InterfaceError(
                f"forward() returned {len(results)} result(s), so there is none for output {', '.join(missing)}"
            )
        return [results[index] for index in self.results]

    @property
    def states(self) -> tuple[ModelTensor, ...]:
        """The states among the inputs, in the order of the states among the outputs."""
        return tuple(spec for spec in self.inputs if spec.role is Role.STATE)


def read_interface(config: dict[str, Any], forward: list[Argument]) -> Interface:
    """Compute the mapping. Raises `InterfaceError` if the model cannot be called with these inputs."""
    inputs, outputs = input_specs(config), output_specs(config)
    results = _indices(outputs) or tuple(range(len(outputs)))
    if len(forward) == 1 and forward[0].kind == _DICTIONARY:
        return Interface(inputs, outputs, (), (), results, as_dictionary=True)
    given = tuple(spec.name for spec in inputs)
    if set(given) <= {argument.name for argument in forward}:
        _require_all(forward, set(given), given)
        by_name = {argument.name: argument for argument in forward}
        _check_kinds((spec, by_name[spec.name]) for spec in inputs)
        return _by_name(inputs, outputs, results, given, [argument.name for argument in forward])
    order = _positions(inputs) or tuple(range(len(inputs)))
    _require_all(forward, {argument.name for argument in forward[: len(order)]}, given)
    if len(order) > len(forward):
        raise _mismatch(forward, given)
    _check_kinds((inputs[index], argument) for index, argument in zip(order, forward, strict=False))
    return Interface(inputs, outputs, order, (), results)


def _check_kinds(pairs: Iterator[tuple[ModelTensor, Argument]]) -> None:
    """Reject an argument type that no input can have, because torch would fail on every request."""
    for spec, argument in pairs:
        kind = (
            argument.kind.removeprefix("Optional[").removesuffix("]") if "Optional" in argument.kind else argument.kind
        )
        if kind in _ANY or kind.startswith("Union["):
            continue
        if kind not in {_NUMBERS, _TEXTS}:
            raise InterfaceError(
                f"input '{spec.name}' is passed to argument '{argument.name}' of forward(), which is {argument.kind}: "
                "Triton passes a Tensor, or List[str] for TYPE_STRING; accept a Tensor and convert it in forward()"
            )
        if (kind == _TEXTS) != (spec.dtype == "STRING"):
            raise InterfaceError(
                f"input '{spec.name}' is TYPE_{spec.dtype}, but argument '{argument.name}' of forward() is "
                f"{argument.kind}: TYPE_STRING is passed as List[str], every other type as Tensor"
            )


def _by_name(
    inputs: tuple[ModelTensor, ...],
    outputs: tuple[ModelTensor, ...],
    results: tuple[int, ...],
    given: tuple[str, ...],
    arguments: list[str],
) -> Interface:
    """Pass inputs by position if they are the first arguments, which is faster in TorchScript; otherwise by name."""
    if set(given) == set(arguments[: len(given)]) and not any(spec.optional for spec in inputs):
        order = tuple(given.index(name) for name in arguments[: len(given)])
        return Interface(inputs, outputs, order, (), results)
    return Interface(inputs, outputs, (), given, results)


def _indices(specs: tuple[ModelTensor, ...]) -> tuple[int, ...]:
    """The index in each name; empty unless all names have one."""
    found = [_INDEXED.fullmatch(spec.name) for spec in specs]
    return tuple(int(match[1]) for match in found if match) if all(found) else ()


def _positions(inputs: tuple[ModelTensor, ...]) -> tuple[int, ...]:
    """The input of each argument by the indices in the names; empty if the names have none."""
    indices = _indices(inputs)
    if indices and sorted(indices) != list(range(len(indices))):
        raise InterfaceError(
            f"inputs {', '.join(spec.name for spec in inputs)} end in __<index>, "
            f"so their indices must be 0 to {len(indices) - 1}, each once"
        )
    return tuple(indices.index(position) for position in range(len(indices)))


def _require_all(forward: list[Argument], covered: set[str], given: tuple[str, ...]) -> None:
    if any(argument.name not in covered and not argument.has_default for argument in forward):
        raise _mismatch(forward, given)


def _mismatch(forward: list[Argument], given: tuple[str, ...]) -> InterfaceError:
    accepted = ", ".join(argument.name + ("=…" if argument.has_default else "") for argument in forward)
    return InterfaceError(
        f"config.pbtxt declares {len(given)} input(s) ({', '.join(given)}), but the model's forward() accepts "
        f"({accepted})"
    )
