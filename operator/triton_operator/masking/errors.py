"""Errors of masking. No message contains a masked value."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class MaskingError(TritonOperatorError):
    """A text cannot be masked as requested; the message says why."""
