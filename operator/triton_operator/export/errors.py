"""Errors of export and compression."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ExportError(TritonOperatorError):
    """A module, an example or a name that cannot be exported to Triton; the message says what to change."""


class CompressionRejectedError(ExportError):
    """The score of a compressed module dropped by more than the permitted maximum; the message has both scores."""
