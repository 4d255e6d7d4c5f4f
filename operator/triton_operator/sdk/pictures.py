"""A picture of Pillow as the array that a model of images takes.

Pure. Input: a picture and the declared tensor. Output: the array of one picture. `values` calls it.
What the picture loses nothing by is done: grey to colour, bytes to fractions of 255 for models of floats (as
torchvision does it), channels first or last as declared. Size and colours that would be lost are the caller's choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import TensorInterface
from triton_operator.sdk.tensors import DATA_TYPES, Array

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_LOSSLESS = {"L": {"1", "L"}, "RGB": {"1", "L", "RGB"}, "RGBA": {"1", "L", "LA", "RGB", "RGBA"}}
"""Pillow's modes that become another one without loss; a palette ("P") may be of any."""
_FULL = 255


def picture_to_array(picture: Any, wanted: TensorInterface, place: str) -> Array:
    """Return the picture as [C,H,W], [H,W,C] or [H,W], whichever is declared; raises InvalidRequestError."""
    if wanted.datatype != "UINT8" and not wanted.datatype.startswith("FP"):
        raise InvalidRequestError(place, f"wanted {wanted.shown}, given a picture")
    channels, axis, size = _layout(wanted, place)
    mode = _MODES[channels]
    if picture.mode not in _LOSSLESS[mode]:
        raise InvalidRequestError(
            place, f"wanted {wanted.shown}, given a picture of mode {picture.mode}; use `.convert({mode!r})`"
        )
    width, height = picture.size
    if any(want not in {-1, have} for want, have in zip(size, (height, width), strict=True)):
        raise InvalidRequestError(
            place,
            f"wanted {wanted.shown}, given a picture {height} high and {width} wide; "
            f"use `.resize(({size[1]}, {size[0]}))`",
        )
    pixels = np.asarray(picture.convert(mode)).reshape(height, width, channels)
    if axis is None:
        pixels = pixels[:, :, 0]
    elif axis == 0:
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return pixels if wanted.datatype == "UINT8" else (pixels / _FULL).astype(DATA_TYPES[wanted.datatype])


def _layout(wanted: TensorInterface, place: str) -> tuple[int, int | None, tuple[int, int]]:
    """Channels, where they stand (None: nowhere), and height and width, from the last dimensions."""
    shape = wanted.shape
    last = shape[-3:]
    if len(last) == 3 and last[0] in _MODES:  # noqa: PLR2004 - channels, height, width.
        return last[0], 0, (last[1], last[2])
    if len(last) == 3 and last[2] in _MODES:  # noqa: PLR2004 - as above.
        return last[2], 2, (last[0], last[1])
    if len(shape) >= 2 and (len(shape) == 2 or shape[0] == -1):  # noqa: PLR2004 - height, width.
        return 1, None, (shape[-2], shape[-1])
    raise InvalidRequestError(place, f"wanted {wanted.shown}, which is no shape of a picture")
