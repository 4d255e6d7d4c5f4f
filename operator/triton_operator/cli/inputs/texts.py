"""Texts as the BYTES tensor of a model that reads text.

Input: words of the command line, or the lines of a file. Output: one array with a row for each text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.declared import Model, stack
from triton_operator.sdk.tensors import Array
from triton_operator.triton.model_file.signature import ANY


def read_texts(texts: Sequence[str], model: Model, source: str) -> dict[str, Array]:
    """The texts as the model's one input; raises UsageError where it takes none."""
    if not any(tensor.datatype == "BYTES" for tensor in model.inputs):
        raise UsageError(
            f"{source}: {model.shown}, no text (BYTES). Where the deployment has an ensemble that begins with a "
            "tokenizer, name that one with --model"
        )
    candidates = [
        tensor for tensor in model.inputs if tensor.datatype == "BYTES" and all(size in {1, ANY} for size in tensor.row)
    ]
    tensor = model.only(candidates, "a text", source)
    rows = [np.full([1] * len(tensor.row), text, dtype=np.object_) for text in texts]
    return {tensor.name: stack(rows, tensor, source)}


def lines_of(content: bytes, source: str) -> list[str]:
    """The lines of a text file, empty ones left out; raises UsageError."""
    lines = [line for line in decoded(content, source).splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"{source}: has no text in it")
    return lines


def decoded(content: bytes, source: str) -> str:
    """UTF-8, with or without the mark that some programs put first; raises UsageError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: is not UTF-8 text (byte {error.start})") from error
