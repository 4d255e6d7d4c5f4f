"""The error of building images."""

from __future__ import annotations


class ImageError(Exception):
    """An image cannot be built; the message names the file or program and describes the solution."""
