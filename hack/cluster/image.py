"""The interface of a container image that clusters load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class LoadableImage(Protocol):
    """An image that a cluster can load; `hack.images.build` returns these.

    The reference's tag is a hash of the content, so equal references have equal content.
    """

    @property
    def name(self) -> str:
        """The short name."""

    @property
    def reference(self) -> str:
        """The repository and tag that pods use."""

    @property
    def archive(self) -> Path:
        """A tar file that contains an OCI layout, annotated with the reference."""
