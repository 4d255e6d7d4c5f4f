"""Read image files for a model with an image input.

Input: files, and the model's interface. Output: one array with a row for each image. This module decodes, converts
colors and resizes; the SDK converts the pixels to the declared layout and scales them to 0..1 (0..255 for UINT8).
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from triton_operator.cli.failures import UsageError
from triton_operator.cli.inputs.model_input import choose_input, located
from triton_operator.sdk.images import MODES, ImageLayout, image_layout, image_to_array
from triton_operator.sdk.inputs import place_of, prepare_inputs
from triton_operator.sdk.interface import ModelInterface, TensorInterface
from triton_operator.sdk.tensors import Array
from triton_operator.triton.model_file.signature import ANY

MAX_PIXELS = 64_000_000
"""A larger image is rejected before it is decoded: 64 megapixels, 190 MB as RGB."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM")
"""Pillow supports about forty more, which are tested less; one of them starts another program (EPS: Ghostscript)."""
_COLORS = {1, 3}
"""Supported numbers of channels: gray and RGB. Alpha is not supported, because transparent parts become white."""
_BYTE_OF_16_BITS = 257


def read_images(
    images: Sequence[tuple[str, bytes]], interface: ModelInterface, *, invert: bool = False
) -> dict[str, Array]:
    """Return the images, each with the name of its file, as the model's only input; raises UsageError."""
    first = images[0][0]
    tensor = choose_input(interface, lambda each: layout_of(each) is not None, "an image", first)
    layout = layout_of(tensor)
    assert layout is not None  # noqa: S101 - `choose_input` returns an input that has one.
    rows = [_row(_open(content, name), layout, tensor, name, invert=invert) for name, content in images]
    for (name, _), row in zip(images, rows, strict=True):
        if row.shape != rows[0].shape:
            raise UsageError(
                f"{name}: differs in size from {first}, but all images for {tensor.named} must have the same size"
            )
    has_batch = len(tensor.shape) > layout.rank
    with located(first):
        return prepare_inputs(interface, {tensor.name: np.stack(rows) if has_batch or len(rows) > 1 else rows[0]})


def layout_of(tensor: TensorInterface) -> ImageLayout | None:
    """Return how the tensor holds a gray or RGB image, or a batch of them; None if it cannot."""
    layout = image_layout(tensor.shape)
    if layout is None or layout.channels not in _COLORS or len(tensor.shape) > layout.rank + 1:
        return None
    return None if tensor.datatype in {"BYTES", "BOOL"} else layout


def _open(content: bytes, name: str) -> Image.Image:
    """Decode the image; transparent parts become white."""
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        too_large = image.width * image.height > MAX_PIXELS
        if not too_large:
            image.load()
    except UnidentifiedImageError as error:
        raise UsageError(f"{name}: is not a readable image; the supported formats are {', '.join(FORMATS)}") from error
    except Exception as error:  # Pillow has no base class, and its readers raise whatever a damaged file causes.
        raise UsageError(f"{name}: the image cannot be decoded: {' '.join(str(error).split())[:200]}") from error
    if too_large:
        raise UsageError(f"{name}: has {image.width}x{image.height} pixels, more than {MAX_PIXELS}; reduce its size")
    if "transparency" in image.info or image.mode in {"LA", "RGBA", "PA"}:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith("I"):  # 16-bit grayscale, which Pillow's `convert` would clip at 255.
        return Image.fromarray((np.asarray(image) // _BYTE_OF_16_BITS).astype(np.uint8))
    return image


def _row(image: Image.Image, layout: ImageLayout, tensor: TensorInterface, name: str, *, invert: bool) -> Array:
    """Return the image in the model's colors, size and layout."""
    image = image.convert(MODES[layout.channels])
    size = (
        image.width if layout.width == ANY else layout.width,
        image.height if layout.height == ANY else layout.height,
    )
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    with located(name):
        return image_to_array(ImageOps.invert(image) if invert else image, tensor, place_of(tensor.name))
