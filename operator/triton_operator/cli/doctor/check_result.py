"""The result of one check of `tritonctl doctor`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from triton_operator.sdk.errors import SdkError


class CheckStatus(StrEnum):
    """`warn` means that some features may not work, or that the check could not run; `fail` must be fixed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class CheckResult(msgspec.Struct, frozen=True):
    """The result of one check; `advice` says what to do unless the status is ok."""

    check: str
    status: CheckStatus
    message: str
    advice: str = ""


def passed(check: str, message: str) -> CheckResult:
    """A check that needs no action."""
    return CheckResult(check, CheckStatus.OK, message)


def warned(check: str, message: str, advice: str) -> CheckResult:
    """A check that found a possible problem."""
    return CheckResult(check, CheckStatus.WARN, message, advice)


def failed(check: str, message: str, advice: str) -> CheckResult:
    """A check that found a problem."""
    return CheckResult(check, CheckStatus.FAIL, message, advice)


def unknown(check: str, error: SdkError, advice: str) -> CheckResult:
    """A check that could not run."""
    return CheckResult(check, CheckStatus.WARN, f"cannot be checked: {error}", advice)


def items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a list; the API server may send `null` for an empty one."""
    return answer.get("items") or []
