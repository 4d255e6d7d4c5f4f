"""Check the inputs and outputs of a config.pbtxt against the arguments and the result of a TorchScript forward().

Input: the configuration as a Message, and what `code` read from the file. Output: Findings. `config` calls it. The
rules are those of the PyTorch backend (`cpu_server/backend/interface.py`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from triton_operator.cli.lint.code import ForwardArgument
from triton_operator.cli.lint.finding import Finding, error, warning
from triton_operator.triton.config.filled_tensors import filled_types, kept_types
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import data_type_in, messages_in, text_in

_INDEXED = re.compile(r".+__(\d+)")
_DICTIONARY = "Dict[str, Tensor]"
_NUMBERS, _TEXTS = "Tensor", "List[str]"
_ARGUMENT_KINDS = frozenset({_NUMBERS, _TEXTS, "Any", "NoneType", "number"})
"""Argument types that Triton can pass, also as Optional."""
_NO_RESULT = re.compile(r"(Dict|List|Tuple)\[.*\]|int|float|bool|str|complex|number|None|NoneType")
"""Types of results that cannot be sent, except List[str]."""


def check_arguments(message: Message, arguments: Sequence[ForwardArgument], shown: str) -> Iterator[Finding]:
    """Check the three ways in which Triton's PyTorch backend maps inputs to forward()'s arguments, and their types."""
    if len(arguments) == 1 and arguments[0].kind == _DICTIONARY:
        return
    types = {**_types(message, "input"), **filled_types(message)}
    yield from _check_argument_kinds(tuple(types), arguments, shown)
    problems = list(_check_names(tuple(types), arguments, shown))
    yield from problems
    if not any(each.severity == "error" for each in problems):
        yield from _check_texts(types, arguments, shown)


def check_result(message: Message, result: str, shown: str) -> Iterator[Finding]:
    """Check that forward() returns a result for each output, which can be sent as it."""
    types = {**_types(message, "output"), **kept_types(message)}
    results = _split(result)
    if results == [result] and result not in {_NUMBERS, _TEXTS} and not _NO_RESULT.fullmatch(result):
        return  # A named tuple, for example, whose size is not in the code of forward().
    positions = _positions(tuple(types)) or list(range(len(types)))
    if positions and max(positions) >= len(results):
        yield error(shown, "output", f"has {', '.join(types)}, but forward() returns {_counted(results)}")
        return
    for (name, data_type), position in zip(types.items(), positions, strict=True):
        kind = _without_optional(results[position])
        if kind != _TEXTS and _NO_RESULT.fullmatch(kind):
            text = f"forward() returns {kind} for {name}, but Triton passes only tensors, or List[str]"
            yield error(shown, "output", text, "return a Tensor, a List[str], or a tuple of these")
        elif kind in {_NUMBERS, _TEXTS} and data_type and (kind == _TEXTS) != (data_type == "STRING"):
            text = f"{name} is TYPE_{data_type}, but forward() returns {kind} for it"
            yield error(shown, "output", text, "TYPE_STRING is List[str], every other type is Tensor")


def _check_names(names: Sequence[str], arguments: Sequence[ForwardArgument], shown: str) -> Iterator[Finding]:
    """Check the three ways in which Triton's PyTorch backend maps inputs to forward()'s arguments."""
    if len(arguments) == 1 and arguments[0].kind == _DICTIONARY:
        return
    known = [argument.name for argument in arguments]
    yield from _check_argument_kinds(names, arguments, shown)
    takes = f"forward() takes ({', '.join(known)})"
    needed = sum(not argument.has_default for argument in arguments)
    if not needed <= len(names) <= len(known):
        yield error(shown, "input", f"has {len(names)} inputs ({', '.join(names)}), and {takes}")
        return
    if set(names) <= set(known):
        return
    positions = [int(found[1]) for name in names if (found := _INDEXED.fullmatch(name))]
    if len(positions) < len(names):
        advice = f"use the names of the arguments, or INPUT__0 to INPUT__{len(names) - 1}"
        message = f"the names {', '.join(names)} contain no position, and {takes}; Triton uses their order in the file"
        yield warning(shown, "input", message, advice)
    elif sorted(positions) != list(range(len(names))):
        yield error(shown, "input", f"the names {', '.join(names)} must end in __0 to __{len(names) - 1}, each once")


def _check_texts(types: Mapping[str, str], arguments: Sequence[ForwardArgument], shown: str) -> Iterator[Finding]:
    """Text is passed as List[str], and everything else as a tensor."""
    kinds = {argument.name: _without_optional(argument.kind) for argument in arguments}
    taken = types if types.keys() <= kinds.keys() else None
    positions = _positions(tuple(types)) or list(range(len(types)))
    for (name, data_type), position in zip(types.items(), positions, strict=True):
        argument = name if taken is not None else arguments[position].name
        kind = kinds[argument]
        if kind in {_NUMBERS, _TEXTS} and data_type and (kind == _TEXTS) != (data_type == "STRING"):
            text = f"{name} is TYPE_{data_type}, but forward() takes {argument} as {kind}"
            yield error(shown, "input", text, "TYPE_STRING is passed as List[str], every other type as Tensor")


def _check_argument_kinds(names: Sequence[str], arguments: Sequence[ForwardArgument], shown: str) -> Iterator[Finding]:
    """Arguments whose type no input has, so that torch would reject every request."""
    for argument in arguments:
        kind = _without_optional(argument.kind)
        is_passed = kind in _ARGUMENT_KINDS or kind.startswith("Union[")
        if not is_passed and (not argument.has_default or argument.name in names):
            text = f"forward() takes {argument.name} as {argument.kind}, but Triton passes only tensors, or List[str]"
            yield error(shown, "input", text, "accept a Tensor and convert it in forward()")


def _types(message: Message, field: str) -> dict[str, str]:
    return {text_in(each, "name"): data_type_in(each) for each in messages_in(message, field)}


def _positions(names: Sequence[str]) -> list[int]:
    """The positions at the end of the names; empty unless all have one."""
    found = [match[1] for name in names if (match := _INDEXED.fullmatch(name))]
    return [int(each) for each in found] if len(found) == len(names) else []


def _without_optional(kind: str) -> str:
    return kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional[") else kind


def _split(result: str) -> list[str]:
    """The types in a tuple, which may themselves contain commas, or the only type."""
    if not (result.startswith("Tuple[") and result.endswith("]")):
        return [result]
    found, depth = [""], 0
    for letter in result.removeprefix("Tuple[").removesuffix("]"):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [each.strip() for each in found if each.strip() not in {"", "()"}]


def _counted(results: Sequence[str]) -> str:
    number = f"{len(results)} result{'s' * (len(results) != 1)}"
    return f"{number} ({', '.join(results)})" if results else number
