"""The one error of exporting."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ExportError(TritonOperatorError):
    """A module, an example or a name that cannot become a model for Triton; the text says what to change."""


class CompressionRejectedError(ExportError):
    """A compressed module is worse by more than was allowed; the text has both scores."""
