"""Errors of the API layer.

::

    TritonOperatorError
     └─ ApiError                  any error while reading a ModelDeployment
         └─ InvalidSpecError      the user must change the object; never retried
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triton_operator.errors import TritonOperatorError

MOST_PROBLEMS = 50
"""The mistakes that one error lists. A spec may have thousands, and their messages become part of the status."""


class ApiError(TritonOperatorError):
    """Any error while reading a ModelDeployment."""


class Problem(NamedTuple):
    """One mistake in a spec: the path of the field, what is wrong with it, and the reason of the condition."""

    path: str
    message: str
    reason: str = "InvalidSpec"


class InvalidSpecError(ApiError):
    """The spec is invalid in a way that the API server's schema cannot express.

    `reason` is a CamelCase condition reason, `path` is the path of the field (`spec.models[0].name`), and `message`
    says what is wrong with it.
    """

    def __init__(self, reason: str, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.reason = reason
        self.path = path
        self.message = message

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> InvalidSpecError:
        """One error for all problems, at least one; it has the reason and the path of the first."""
        first, *others = problems[:MOST_PROBLEMS]
        further = ["further errors are not listed"] if len(problems) > MOST_PROBLEMS else []
        message = "; ".join([first.message, *(f"{each.path}: {each.message}" for each in others), *further])
        return cls(first.reason, first.path, message)
