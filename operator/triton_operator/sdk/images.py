"""Convert a Pillow image to the array that a model with an image input expects.

Pure. Input: an image and the declared tensor. Output: the array of one image. `values` calls it, and the CLI after it
has resized a file's image. Lossless conversions are automatic: gray to color, bytes to fractions of 255 for inputs of
floats (as in torchvision), and the declared layout. The caller chooses how to reduce size or colors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import TensorInterface
from triton_operator.sdk.tensors import DATA_TYPES, Array
from triton_operator.triton.model_file.signature import ANY

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode by the number of channels."""
_LOSSLESS = {"L": {"1", "L"}, "RGB": {"1", "L", "RGB"}, "RGBA": {"1", "L", "LA", "RGB", "RGBA"}}
"""The modes that convert to another one without loss; a palette ("P") can be of any."""
_FULL = 255
_PLANE = 2
_WITH_CHANNELS = 3


class ImageLayout(NamedTuple):
    """How the last `rank` dimensions of a tensor hold an image; a size of -1 is the image's own."""

    height: int
    width: int
    channels: int
    axis: int | None
    """Axis of the channels: 0 is [C,H,W], 2 is [H,W,C], None is a tensor without channels."""
    rank: int
    """3 with channels, 2 for [H,W], 1 for the pixels of a square, row after row."""


def image_layout(shape: Sequence[int]) -> ImageLayout | None:
    """Return how a declared shape holds an image; None if it cannot.

    In order: channels first, channels last, [H,W], a flat square. A leading -1 counts rows, except in [-1,W,C].
    """
    if len(shape) >= _WITH_CHANNELS:
        first, middle, last = shape[-_WITH_CHANNELS:]
        if first in MODES:
            return ImageLayout(middle, last, first, 0, _WITH_CHANNELS)
        if last in MODES:
            return ImageLayout(first, middle, last, 2, _WITH_CHANNELS)
    batched = shape[:1] == (ANY,)
    match tuple(shape[1:] if batched else shape):
        case (*before, height, width) if batched or not before:
            return ImageLayout(height, width, 1, None, _PLANE)
        case (pixels,) if pixels > 1 and math.isqrt(pixels) ** 2 == pixels:
            return ImageLayout(math.isqrt(pixels), math.isqrt(pixels), 1, None, 1)
    return None


def image_to_array(image: Any, tensor: TensorInterface, place: str) -> Array:
    """Return the image in the declared layout, without the batch dimension; raises InvalidRequestError."""
    expected = f"expected {tensor.shown}, got an image"
    if tensor.datatype != "UINT8" and not tensor.datatype.startswith("FP"):
        raise InvalidRequestError(place, f"{expected}, which becomes UINT8 or a floating-point type")
    layout = image_layout(tensor.shape)
    if layout is None:
        raise InvalidRequestError(place, f"{expected}; the shape cannot hold an image")
    mode = MODES[layout.channels]
    if image.mode not in _LOSSLESS[mode]:
        raise InvalidRequestError(place, f"{expected} of mode {image.mode}; use `.convert({mode!r})`")
    width, height = image.size
    if layout.height not in {ANY, height} or layout.width not in {ANY, width}:
        size = (width if layout.width == ANY else layout.width, height if layout.height == ANY else layout.height)
        raise InvalidRequestError(
            place, f"{expected} with a height of {height} and a width of {width}; use `.resize({size})`"
        )
    pixels = _arrange(np.asarray(image.convert(mode)).reshape(height, width, layout.channels), layout)
    return pixels if tensor.datatype == "UINT8" else (pixels / _FULL).astype(DATA_TYPES[tensor.datatype])


def _arrange(pixels: Array, layout: ImageLayout) -> Array:
    """Bring [H,W,C] into the layout."""
    if layout.axis == 0:
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    if layout.axis is None:
        return pixels.reshape(-1) if layout.rank == 1 else pixels[:, :, 0]
    return pixels
