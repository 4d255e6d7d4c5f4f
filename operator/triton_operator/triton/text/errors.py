"""Errors in the text of a configuration: one for its syntax, one for the values in it."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ConfigTextError(TritonOperatorError, ValueError):
    """The text is not protobuf text format; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


class ConfigError(TritonOperatorError, ValueError):
    """A configuration has a wrong value; the text names the field and the value."""
