"""What can go wrong with an image, said so that a person can act on it."""

from __future__ import annotations


class ImageError(Exception):
    """An image cannot be built; the message names the file or program and what to do."""
