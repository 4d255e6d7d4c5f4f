"""What one check found."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from triton_operator.sdk.errors import SdkError


class Health(StrEnum):
    """`warn` works, but not all of it or not for sure; `fail` has to be mended first."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One check: what it found, and what to do where that is not well."""

    check: str
    health: Health
    found: str
    do: str = ""


def well(check: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Health.OK, found)


def unsure(check: str, found: str, do: str) -> Finding:
    """It may be well."""
    return Finding(check, Health.WARN, found, do)


def ill(check: str, found: str, do: str) -> Finding:
    """It is not well."""
    return Finding(check, Health.FAIL, found, do)


def hidden(check: str, error: SdkError, do: str) -> Finding:
    """What could not be looked at is not known to be well."""
    return Finding(check, Health.WARN, f"could not be looked at: {error}", do)


def items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a list; none where an API server's answer has `null` for them."""
    return answer.get("items") or []
