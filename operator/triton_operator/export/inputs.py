"""Parse inputs of the command line: `[NAME:]TYPE:DIMS[@LOW..HIGH]`. Pure; `request` and `examples` call it."""

from __future__ import annotations

import re
from typing import NamedTuple

from triton_operator.export.errors import ExportError
from triton_operator.triton.model_file.signature import TORCHSCRIPT_TYPES, TensorSpec

_NUMBER = r"-?\d+(?:\.\d+)?"
_INPUT = re.compile(
    r"(?:(?P<name>[^:]+):)?(?P<type>[A-Z]+[0-9]*):(?P<dims>(?:-1|[1-9]\d*)(?:,(?:-1|[1-9]\d*))*)?"
    rf"(?:@(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER}))?",
    re.ASCII,
)
_WHOLE = {
    "UINT8": (0, 2**8 - 1),
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
}
"""The smallest and the largest value of each integer type."""

_WITHOUT_RANGE = frozenset({"STRING", "BOOL"})


class Range(NamedTuple):
    """The bounds of generated numbers, both inclusive."""

    low: float
    high: float


class InputOption(NamedTuple):
    """One input of the signature, and the range of its generated numbers, or None."""

    tensor: TensorSpec
    range: Range | None = None


def read_input(text: str, index: int) -> InputOption:
    """Parse one input; raises ExportError."""
    found = _INPUT.fullmatch(text)
    if not found or found["type"] not in TORCHSCRIPT_TYPES:
        types = ", ".join(sorted(TORCHSCRIPT_TYPES))
        raise ExportError(
            f"--input {text}: must be [NAME:]TYPE:DIMS such as FP32:1,28,28, or with a range such as INT64:40@1..40, "
            f"where TYPE is one of {types}"
        )
    dims = tuple(int(size) for size in (found["dims"] or "").split(",") if size)
    tensor = TensorSpec(found["name"] or f"INPUT__{index}", found["type"], dims)
    return InputOption(tensor, _range(text, found) if found["low"] else None)


def _range(text: str, found: re.Match[str]) -> Range:
    kind, low, high = found["type"], found["low"], found["high"]
    if kind in _WITHOUT_RANGE:
        raise ExportError(f"--input {text}: {kind} does not support a range; pass examples with --example FILE")
    if kind not in _WHOLE:
        result = Range(float(low), float(high))
    elif "." in low or "." in high.lstrip("."):
        raise ExportError(f"--input {text}: {kind} requires whole numbers")
    else:
        result = Range(int(low), int(high))
        smallest, largest = _WHOLE[kind]
        if result.low < smallest or result.high > largest:
            raise ExportError(f"--input {text}: {kind} ranges from {smallest} to {largest}")
    if result.low > result.high:
        raise ExportError(f"--input {text}: the range ends before it begins")
    return result
