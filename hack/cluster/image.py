"""A container image as clusters load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Image(Protocol):
    """An image that a cluster can load; `hack.images.build` returns these.

    The reference's tag is a hash of the content, so a reference that is there
    already need not be compared.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def reference(self) -> str:
        """Repository and tag, as pods name it."""

    @property
    def archive(self) -> Path:
        """An OCI layout in a tar file, annotated with the reference."""
