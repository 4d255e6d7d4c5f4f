"""Telephone numbers, international and as they are dialled in China, North America and the United Kingdom.

Other national numbers are found by their label. Patterns find candidates; the library `phonenumbers` (the data of
Google's libphonenumber) decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from triton_operator.masking.errors import MaskingError
from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.labels import label

_START = r"(?<![0-9A-Za-z+#_])(?<!\d[.:/-])"
_END = r"(?![0-9A-Za-z_])(?![.:/-]\d)"
_INTERNATIONAL = re.compile(rf"{_START}(?:\+|00)[1-9]\d{{0,2}}(?:[ .-]?\(?\d{{1,5}}\)?){{2,6}}{_END}", re.ASCII)
_MOBILE = re.compile(rf"{_START}(?:\(?(?:\+|00)?86\)?[ -]?)?1[3-9]\d(?:[ -]?\d{{4}}){{2}}{_END}", re.ASCII)
_NATIONAL = (
    ("CN", re.compile(rf"{_START}(?:\(0\d{{2,3}}\) ?|0\d{{2,3}}[ -]?)[2-9]\d{{2,3}}[ -]?\d{{4}}{_END}", re.ASCII)),
    ("CN", re.compile(rf"{_START}[48]00[ -]?\d{{3}}[ -]?\d{{4}}{_END}", re.ASCII)),
    ("US", re.compile(rf"{_START}(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])\d{{3}}[-. ]\d{{4}}{_END}", re.ASCII)),
    ("GB", re.compile(rf"{_START}\(?0[127]\d{{1,4}}\)? \d{{3,4}} ?\d{{3,4}}{_END}", re.ASCII)),
)
_LABELLED = re.compile(rf"{_START}\(?\d{{2,4}}\)?(?:[ -]?\d{{2,4}}){{1,4}}{_END}", re.ASCII)
_LABEL = re.compile(
    r"phone|mobile|\btel\b|\bcell\b|\bfax\b|\bcall\b|dial|whatsapp|电话|手机|拨打|热线|致电|联系方式|联系人|座机|传真",
    re.IGNORECASE,
)
_DIGITS = range(7, 13)
"""Count of digits of a number that only its label makes a telephone number."""


def find(text: str) -> Iterator[Span]:
    """Find telephone numbers, some of them by several rules."""
    for match in _candidates(text):
        yield Span(match.start(), match.end(), PersonalDataKind.PHONE)


def _candidates(text: str) -> Iterator[re.Match[str]]:
    yield from (match for match in _INTERNATIONAL.finditer(text) if _is_possible(match[0]))
    yield from (match for match in _MOBILE.finditer(text) if label(text, match.start(), _LABEL) is not False)
    for region, pattern in _NATIONAL:
        for match in pattern.finditer(text):
            if label(text, match.start(), _LABEL) is not False and _is_valid(match[0], region):
                yield match
    for match in _LABELLED.finditer(text) if _LABEL.search(text) else ():
        if sum(map(str.isdigit, match[0])) in _DIGITS and label(text, match.start(), _LABEL):
            yield match


@cache
def library() -> Any:
    """Import `phonenumbers` on first use; raises MaskingError if it is missing."""
    try:
        import phonenumbers
    except ModuleNotFoundError as error:
        raise MaskingError("masking needs the package phonenumbers: pip install 'triton-operator[masking]'") from error
    return phonenumbers


def _is_possible(written: str) -> bool:
    """Return whether an international number has a country and as many digits as numbers there have.

    Ranges that are reserved, such as those for fiction, are invalid for the library; their form is what counts.
    """
    number = f"+{written[2:]}" if written.startswith("00") else written
    checks = library()
    try:
        return bool(checks.is_possible_number(checks.parse(number)))
    except checks.NumberParseException:
        return False


def _is_valid(written: str, region: str) -> bool:
    checks = library()
    try:
        number = checks.parse(written, region)
    except checks.NumberParseException:
        return False
    return bool(checks.is_valid_number(number) or (region == "GB" and checks.is_possible_number(number)))
