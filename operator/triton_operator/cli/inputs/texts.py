"""Read texts for the BYTES input of a model.

Input: texts of the command line, or the lines of a file. Output: one array with a row for each text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.model_input import choose_input, located
from triton_operator.sdk.inputs import prepare_inputs
from triton_operator.sdk.interface import ModelInterface, TensorInterface
from triton_operator.sdk.tensors import Array
from triton_operator.triton.model_file.signature import ANY


def read_texts(texts: Sequence[str], interface: ModelInterface, source: str) -> dict[str, Array]:
    """Return the texts as the model's only input; raises UsageError if it does not take texts."""
    if not any(tensor.datatype == "BYTES" for tensor in interface.inputs):
        raise UsageError(
            f"{source}: no input takes text (BYTES): {interface.shown}. If the deployment has an ensemble that "
            "begins with a tokenizer, name the ensemble with --model"
        )
    tensor = choose_input(interface, _holds_one_text, "a text", source)
    rows = np.array(texts, dtype=np.object_).reshape(-1, *(1 for _ in tensor.row))
    with located(source):
        return prepare_inputs(interface, {tensor.name: rows if tensor.batched or len(rows) > 1 else rows[0]})


def lines_of(content: bytes, source: str) -> list[str]:
    """The lines of a text file without empty ones; raises UsageError."""
    lines = [line for line in decode_text(content, source).splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"{source}: has no text")
    return lines


def decode_text(content: bytes, source: str) -> str:
    """UTF-8, with or without the byte order mark that some programs write; raises UsageError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: is not UTF-8 text (byte {error.start})") from error


def _holds_one_text(tensor: TensorInterface) -> bool:
    return tensor.datatype == "BYTES" and all(size in {1, ANY} for size in tensor.row)
