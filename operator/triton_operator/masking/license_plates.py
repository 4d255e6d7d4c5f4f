"""Licence plates: those of China by their form (also new-energy and special ones), others by their label."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.labels import label

_PROVINCE = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
_CHINESE = re.compile(
    rf"[{_PROVINCE}][A-HJ-NP-Z][ \u00b7.-]?"
    r"(?:[DF][A-HJ-NP-Z\d]\d{4}|\d{5}[DF]|(?=[A-HJ-NP-Z]*\d)[A-HJ-NP-Z\d]{4}[A-HJ-NP-Z\d挂学警港澳])(?![0-9A-Za-z])"
    r"|使\d{6}|\d{6}使|WJ[\u4e00-\u9fff]?\d{5}",
    re.ASCII,
)
_OTHER = re.compile(
    r"(?<![0-9A-Za-z-])(?:[A-Z]{2}\d{2} ?[A-Z]{3}|\d[A-Z]{3}\d{3}|[A-Z]{3}[ -]?\d{3,4}|\d{3,4}[ -]?[A-Z]{3}"
    r"|[A-Z]\d{1,3} ?[A-Z]{3}|[A-Z]{1,3}-[A-Z]{1,2} ?\d{1,4}|[A-Z]{2}-\d{3}-[A-Z]{2})(?![0-9A-Za-z-])",
    re.ASCII,
)
_LABEL = re.compile(r"plate|registration|registered|车牌|号牌|牌照|license no|licence no", re.IGNORECASE)


def find(text: str) -> Iterator[Span]:
    """Find licence plates."""
    if not text.isascii():
        for match in _CHINESE.finditer(text):
            yield Span(match.start(), match.end(), PersonalDataKind.LICENSE_PLATE)
    if _LABEL.search(text):
        for match in _OTHER.finditer(text):
            if label(text, match.start(), _LABEL):
                yield Span(match.start(), match.end(), PersonalDataKind.LICENSE_PLATE)
