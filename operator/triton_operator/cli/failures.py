"""Errors of the commands, in addition to the SDK's own."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class CommandFailedError(TritonOperatorError):
    """The command ran, but a check or a request failed; the message describes the failure."""


class UsageError(TritonOperatorError):
    """A file or an option is invalid; the message names it and says how to fix it."""
