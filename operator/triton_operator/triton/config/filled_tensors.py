"""The arguments and results of forward() that are not in `input` and `output`, because Triton fills or keeps them.

Input: a config.pbtxt as a Message. Output: tensor names and types. `signature_merge` and `lint` use them. The rules are
those of the native PyTorch backend, which the CPU image's backend (`cpu_server/backend/interface.py`) follows:
forward() gets the inputs, then the values of `batch_input`, then the controls and states of `sequence_batching`; it
returns the outputs, then the states. Pure.
"""

from __future__ import annotations

from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import data_type_in, message_in, messages_in, texts_in


def filled_inputs(message: Message) -> tuple[str, ...]:
    """Names of the arguments of forward() that clients do not send."""
    return tuple(filled_types(message))


def filled_types(message: Message) -> dict[str, str]:
    """Names and data types, without TYPE_, of the arguments of forward() that clients do not send."""
    counted = messages_in(message, "batch_input")
    types = {name: data_type_in(each) for each in counted for name in texts_in(each, "target_name")}
    controls = _sequence_entries(message, "control_input")
    states = _sequence_entries(message, "state")
    types |= {name: _control_type(each) for each in controls for name in texts_in(each, "name")}
    return types | {name: data_type_in(each) for each in states for name in texts_in(each, "input_name")}


def kept_outputs(message: Message) -> tuple[str, ...]:
    """Names of the results of forward() that Triton keeps for the next request of the sequence."""
    return tuple(kept_types(message))


def kept_types(message: Message) -> dict[str, str]:
    """Names and data types, without TYPE_, of the results that Triton keeps for the next request of the sequence."""
    states = _sequence_entries(message, "state")
    return {name: data_type_in(each) for each in states for name in texts_in(each, "output_name")}


def _control_type(entry: Message) -> str:
    """The type of a control: of its pair of values, or of its data_type for a sequence ID."""
    control = message_in(entry, "control")
    typed = {"int32_false_true": "INT32", "fp32_false_true": "FP32", "bool_false_true": "BOOL"}
    return next((each for field, each in typed.items() if control.get(field)), None) or data_type_in(control)


def _sequence_entries(message: Message, field: str) -> list[Message]:
    return [entry for each in messages_in(message, "sequence_batching") for entry in messages_in(each, field)]
