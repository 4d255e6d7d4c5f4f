"""Pictures of common formats as the tensor of a model that looks at pictures.

Input: files, and the model. Output: one array with a row for each picture: grey or coloured by the declared channels,
resized to the declared size, from 0 to 1 (or 0 to 255 where the model takes UINT8).
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.declared import Model, Tensor, numpy_type, stack
from triton_operator.sdk.tensors import Array
from triton_operator.triton.model_file.signature import ANY

CHANNELS = {1: "L", 3: "RGB"}
"""Pillow's mode by the number of channels."""
MOST_PIXELS = 64_000_000
"""A picture larger than that is refused before it is unpacked: 64 megapixels, 190 MB as RGB."""


FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM")
"""What is read. Pillow has some forty more, less tried ones, and one that starts another program (EPS: Ghostscript)."""


class Layout(NamedTuple):
    """How a row holds a picture: its size (ANY for the picture's own), channels, and where they stand."""

    height: int
    width: int
    channels: int
    place: int | None
    """Axis of the channels; None where there is none."""


def read_pictures(pictures: Sequence[tuple[str, bytes]], model: Model, *, invert: bool = False) -> dict[str, Array]:
    """The pictures, each with the name of its file, as the model's one input; raises UsageError."""
    candidates = [tensor for tensor in model.inputs if tensor.numbers and layout_of(tensor.row) is not None]
    tensor = model.only(candidates, "a picture", pictures[0][0])
    layout = layout_of(tensor.row)
    assert layout is not None  # noqa: S101 - the candidates are those that have one.
    rows = [_row(_open(content, name), layout, tensor, name, invert=invert) for name, content in pictures]
    odd = next((name for (name, _), row in zip(pictures, rows, strict=True) if row.shape != rows[0].shape), None)
    if odd:
        raise UsageError(f"{odd}: has another size than {pictures[0][0]}, and {tensor.shown} takes one size at a time")
    return {tensor.name: stack(rows, tensor, pictures[0][0])}


def layout_of(row: Sequence[int]) -> Layout | None:
    """How such a row can be a picture: channels first or last, rows of pixels, or a flat square; None if it cannot."""
    match tuple(row):
        case (channels, height, width) if channels in CHANNELS:
            return Layout(height, width, channels, 0)
        case (height, width, channels) if channels in CHANNELS:
            return Layout(height, width, channels, 2)
        case (height, width):
            return Layout(height, width, 1, None)
        case (pixels,) if pixels > 1 and math.isqrt(pixels) ** 2 == pixels:
            return Layout(math.isqrt(pixels), math.isqrt(pixels), 1, None)
    return None


def _open(content: bytes, name: str) -> Image.Image:
    try:
        picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        too_large = picture.width * picture.height > MOST_PIXELS
        if not too_large:
            picture.load()
    except UnidentifiedImageError as error:
        raise UsageError(f"{name}: is no picture that can be read; these are: {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow names no base class, and its readers raise whatever a damaged file causes.
        raise UsageError(f"{name}: the picture cannot be read: {' '.join(str(error).split())[:200]}") from error
    if too_large:
        raise UsageError(f"{name}: has {picture.width}x{picture.height} pixels; make it smaller first")
    if "transparency" in picture.info or picture.mode in {"LA", "RGBA", "PA"}:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture)
    return picture


def _row(picture: Image.Image, layout: Layout, tensor: Tensor, name: str, *, invert: bool) -> Array:
    kind = numpy_type(tensor, name)
    if not (issubclass(kind, np.floating) or kind is np.uint8):
        raise UsageError(f"{name}: pictures become floating-point numbers or UINT8, and the model takes {tensor.shown}")
    grey = picture.convert(CHANNELS[layout.channels])
    size = (
        grey.width if layout.width == ANY else layout.width,
        grey.height if layout.height == ANY else layout.height,
    )
    pixels: Array = np.asarray(grey if grey.size == size else grey.resize(size, Image.Resampling.BICUBIC))
    if invert:
        pixels = 255 - pixels
    if layout.place == 0:
        pixels = pixels.reshape(1, *pixels.shape) if layout.channels == 1 else pixels.transpose(2, 0, 1)
    elif layout.place is not None and layout.channels == 1:
        pixels = pixels.reshape(*pixels.shape, 1)
    if kind is not np.uint8:
        pixels = (pixels / 255).astype(kind)
    return pixels.reshape(-1) if len(tensor.row) == 1 else pixels
