"""What a TorchScript model takes and gives beyond `input` and `output`: the tensors that Triton itself fills or keeps.

A config.pbtxt as a Message goes in, names leave. `contract` and `lint` count with them. The rules are those of the
native PyTorch backend, which the CPU image's backend (`cpu_server/backend/interface.py`) follows: forward() gets the
inputs, then what `batch_input` counts, then the controls and the states of `sequence_batching`; it returns the outputs,
then the states.
"""

from __future__ import annotations

from collections.abc import Iterator

from triton_operator.triton.text.parser import Message, Value


def filled_inputs(message: Message) -> tuple[str, ...]:
    """Names of the tensors of forward() that no client sends."""
    counted = (name for each in _messages(message, "batch_input") for name in _texts(each, "target_name"))
    sequence = list(_messages(message, "sequence_batching"))
    controls = (name for each in sequence for one in _messages(each, "control_input") for name in _texts(one, "name"))
    states = (name for each in sequence for one in _messages(each, "state") for name in _texts(one, "input_name"))
    return (*counted, *controls, *states)


def kept_outputs(message: Message) -> tuple[str, ...]:
    """Names of the results of forward() that no client gets, because the next request of the sequence does."""
    states = (state for each in _messages(message, "sequence_batching") for state in _messages(each, "state"))
    return tuple(name for state in states for name in _texts(state, "output_name"))


def _messages(message: Message, field: str) -> Iterator[Message]:
    return (each for each in message.get(field, []) if isinstance(each, dict))


def _texts(message: Message, field: str) -> Iterator[str]:
    values: list[Value] = message.get(field, [])
    return (each for each in values if isinstance(each, str))
