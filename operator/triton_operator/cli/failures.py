"""Ends of a command other than success, apart from the SDK's own errors."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class CommandFailedError(TritonOperatorError):
    """The command did its work, and the answer is no; the message says what is not so."""


class UsageError(TritonOperatorError):
    """A file or an option cannot be used; the message names it and says what to do."""
