"""Resident identity cards of China: 18 characters with a check character (GB 11643), or 15 digits without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.labels import label

_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.])([1-8]\d{5})(?:(\d{8})\d{3}[\dXx]|(\d{6})\d{3})(?![0-9A-Za-z])(?!\.\d)", re.ASCII
)
_LABEL = re.compile(
    r"身份证|证件|证号|公民身份|居民|驾照|驾驶证|idcard|id card|identity|resident|national id|id number|\bid\b",
    re.IGNORECASE,
)
_PROVINCE = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


def find(text: str) -> Iterator[Span]:
    """Find identity numbers with an existing province, an existing date of birth and a correct check character."""
    for match in _NUMBER.finditer(text):
        number = match[0]
        if not _PROVINCE.match(number) or label(text, match.start(), _LABEL) is False:
            continue
        if is_date(match[2] or f"19{match[3]}") and (match[3] or check_character(number[:17]) == number[17].upper()):
            yield Span(match.start(), match.end(), PersonalDataKind.ID_CARD)


def check_character(digits: str) -> str:
    """Return the check character of the first 17 digits."""
    return _CHECK[sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11]


def is_date(digits: str) -> bool:
    """Return whether YYYYMMDD is a day from 1900 until today."""
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return date(1900, 1, 1) <= born <= date.today()  # noqa: DTZ011 -- the day of birth has no time zone
