"""One model to serve, as a user writes it in `spec.models`."""

from __future__ import annotations

from triton_operator.api.struct import Struct


class Model(Struct, frozen=True):
    """One model to serve; `path` is its folder in the repository and defaults to its name."""

    name: str
    path: str | None = None

    @property
    def folder(self) -> str:
        """The model's folder, relative to the repository's root."""
        return self.path or self.name
