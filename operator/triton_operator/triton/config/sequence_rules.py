"""Triton's rules for sequence batching: controls, states and batch sizes; see `rules`."""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.triton.config.problem import ConfigProblem
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import (
    data_type_in,
    integers_in,
    message_in,
    messages_in,
    text_in,
    word_in,
)

_ANY = -1
_KINDS = ("CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_CORRID")
_ID = _KINDS[3]
_FALSE_TRUE = ("int32_false_true", "fp32_false_true", "bool_false_true")
_PAIR = 2
_ID_TYPES = frozenset({"UINT64", "INT64", "UINT32", "INT32", "STRING"})


def check_sequences(message: Message, batch: int | None) -> Iterator[ConfigProblem]:
    """Everything that Triton would reject; `batch` is the maximum batch size, None if it is not known."""
    batching = message_in(message, "sequence_batching")
    yield from _check_controls(batching)
    yield from _check_states(batching)
    yield from check_preferred("sequence_batching.oldest", message_in(batching, "oldest"), batch)
    for share in message_in(batching, "direct").get("minimum_slot_utilization", ()):
        if isinstance(share, int | float) and not 0 <= share <= 1:
            yield ConfigProblem("sequence_batching.direct.minimum_slot_utilization", f"{share} is not between 0 and 1")


def check_preferred(path: str, batching: Message, batch: int | None) -> Iterator[ConfigProblem]:
    """Check the preferred batch sizes of any scheduler."""
    for size in integers_in(batching, "preferred_batch_size"):
        if size < 1:
            yield ConfigProblem(f"{path}.preferred_batch_size", f"{size} is not positive")
        elif batch is not None and size > batch:
            yield ConfigProblem(f"{path}.preferred_batch_size", f"{size} is greater than max_batch_size, {batch}")


def _check_controls(batching: Message) -> Iterator[ConfigProblem]:
    names: set[str] = set()
    kinds: set[str] = set()
    for index, given in enumerate(messages_in(batching, "control_input")):
        path, name = f"sequence_batching.control_input[{index}]", text_in(given, "name")
        if not name:
            yield ConfigProblem(f"{path}.name", "is missing")
        elif name in names:
            yield ConfigProblem(f"{path}.name", f'"{name}" occurs twice')
        names.add(name)
        for control in messages_in(given, "control"):
            kind = word_in(control, "kind", _KINDS)
            if kind in kinds:
                yield ConfigProblem(f"{path}.control.kind", f"{kind} occurs twice")
            kinds.add(kind)
            yield from _check_control(f"{path}.control", kind, control)


def _check_control(path: str, kind: str, control: Message) -> Iterator[ConfigProblem]:
    found = [field for field in _FALSE_TRUE if control.get(field)]
    if kind == _ID:
        if found:
            yield ConfigProblem(f"{path}.{found[0]}", f"must not be set for {_ID}, which has a data_type")
        if data_type_in(control) not in _ID_TYPES:
            yield ConfigProblem(f"{path}.data_type", f"must be one of {', '.join(sorted(_ID_TYPES))} for {_ID}")
    elif kind in _KINDS:
        if len(found) != 1:
            yield ConfigProblem(path, f"exactly one of {', '.join(_FALSE_TRUE)} must be set for {kind}")
        for field in found:
            if len(control[field]) != _PAIR:
                message = f"must have two values, for false and true, not {len(control[field])}"
                yield ConfigProblem(f"{path}.{field}", message)


def _check_states(batching: Message) -> Iterator[ConfigProblem]:
    names: set[str] = set()
    for index, state in enumerate(messages_in(batching, "state")):
        path, name = f"sequence_batching.state[{index}]", text_in(state, "input_name")
        if any(size == 0 or size < _ANY for size in integers_in(state, "dims")):
            # Triton 24.10 crashes when it allocates such a state.
            yield ConfigProblem(f"{path}.dims", "has a size that is neither positive nor -1", "-1 means any size")
        initial_states = messages_in(state, "initial_state")
        if len(initial_states) > 1:
            yield ConfigProblem(f"{path}.initial_state", f"must be set once, not {len(initial_states)} times")
        for initial in initial_states[:1]:
            if name in names:
                yield ConfigProblem(f"{path}.input_name", f'"{name}" occurs twice')
            names.add(name)
            yield from _check_initial_state(f"{path}.initial_state", state, initial)


def _check_initial_state(path: str, state: Message, initial: Message) -> Iterator[ConfigProblem]:
    dims, own = integers_in(state, "dims"), integers_in(initial, "dims")
    if not text_in(initial, "name"):
        yield ConfigProblem(f"{path}.name", "is missing")
    if data_type_in(state) != data_type_in(initial):
        yield ConfigProblem(f"{path}.data_type", f"must be the state's own, {data_type_in(state) or 'none'}")
    if _ANY in own:
        yield ConfigProblem(f"{path}.dims", "must have fixed sizes, without -1")
    elif len(own) != len(dims) or any(size not in {_ANY, one} for size, one in zip(dims, own, strict=True)):
        yield ConfigProblem(f"{path}.dims", f"{own} does not match the state's {dims}")
    if not {"zero_data", "data_file"} & initial.keys():
        yield ConfigProblem(path, "has neither zero_data nor data_file")
