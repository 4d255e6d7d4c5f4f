"""What keeps a prediction from being explained."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class ExplanationError(TritonOperatorError, ValueError):
    """`field` of the question, such as `samples` or `target`, cannot be used as it is; the message says what can."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
