"""Errors of the commands, in addition to the SDK's own."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class CommandFailedError(TritonOperatorError):
    """The command ran, and what it checked or requested failed; the message says what."""


class UsageError(TritonOperatorError):
    """A file or an option is invalid; the message names it and says what to do."""
