"""One thing that `tritonctl lint` found."""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct


class Severity(StrEnum):
    """Whether the model will not be served as it is, or not as well as it could."""

    ERROR = "error"
    WARNING = "warning"


class Finding(Struct, frozen=True):
    """`place` is a line (`line 3`) or a field (`input[0].dims`) of `file`, "" for all of it; `advice`: what to do."""

    file: str
    place: str
    severity: Severity
    message: str
    advice: str = ""


def error(file: str, place: str, message: str, advice: str = "") -> Finding:
    """What keeps a model from being served."""
    return Finding(file, place, Severity.ERROR, message, advice)


def warning(file: str, place: str, message: str, advice: str = "") -> Finding:
    """What a user would not want if they knew."""
    return Finding(file, place, Severity.WARNING, message, advice)
