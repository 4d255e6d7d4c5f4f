"""The arguments and results of forward() that are not in `input` and `output`, because Triton fills or keeps them.

Input: a config.pbtxt as a Message. Output: tensor names. `signature_merge` and `lint` use them. The rules are those of
the native PyTorch backend, which the CPU image's backend (`cpu_server/backend/interface.py`) follows: forward() gets
the inputs, then the values of `batch_input`, then the controls and states of `sequence_batching`; it returns the
outputs, then the states. Pure.
"""

from __future__ import annotations

from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import messages_in, texts_in


def filled_inputs(message: Message) -> tuple[str, ...]:
    """Names of the arguments of forward() that clients do not send."""
    counted = (name for each in messages_in(message, "batch_input") for name in texts_in(each, "target_name"))
    return (
        *counted,
        *_sequence_names(message, "control_input", "name"),
        *_sequence_names(message, "state", "input_name"),
    )


def kept_outputs(message: Message) -> tuple[str, ...]:
    """Names of the results of forward() that Triton keeps for the next request of the sequence."""
    return _sequence_names(message, "state", "output_name")


def _sequence_names(message: Message, field: str, name: str) -> tuple[str, ...]:
    batching = messages_in(message, "sequence_batching")
    return tuple(text for each in batching for entry in messages_in(each, field) for text in texts_in(entry, name))
