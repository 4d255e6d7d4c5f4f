"""Errors of explanations."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ExplanationError(TritonOperatorError, ValueError):
    """`field` of the request, such as `samples` or `target`, is invalid; the message says what is valid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
