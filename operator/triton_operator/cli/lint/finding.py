"""A finding of `tritonctl lint`."""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct


class Severity(StrEnum):
    """An error prevents serving; a warning concerns performance, privacy or compatibility."""

    ERROR = "error"
    WARNING = "warning"


class Finding(Struct, frozen=True):
    """`place` is a line (`line 3`) or a field (`input[0].dims`) of `file`, or ""; `advice` says how to fix it."""

    file: str
    place: str
    severity: Severity
    message: str
    advice: str = ""


def error(file: str, place: str, message: str, advice: str = "") -> Finding:
    """A finding that prevents serving."""
    return Finding(file, place, Severity.ERROR, message, advice)


def warning(file: str, place: str, message: str, advice: str = "") -> Finding:
    """A finding that does not prevent serving."""
    return Finding(file, place, Severity.WARNING, message, advice)
