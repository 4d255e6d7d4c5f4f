"""Numbers of bank cards: the ranges of the card networks, and the check digit (ISO/IEC 7812, Luhn)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.labels import label

_NUMBER = re.compile(r"(?<![0-9A-Za-z.])\d(?:[ -]?\d){12,18}(?![0-9A-Za-z])(?!\.\d)", re.ASCII)
_GROUPS = re.compile(
    r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{6}([ -])\d{7,13}|\d+"
)
_NETWORKS = re.compile(
    r"62\d{14,17}|4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01]|720)\d{12,13}|3[47]\d{13}|35\d{14}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d)\d{12}|(?:60|81|9[0-8])\d{14,17}"
)
_LABEL = re.compile(
    r"卡|账号|账户|户名|card|visa|mastercard|unionpay|american express|amex|\bpan\b|pay|charge|转账|汇", re.IGNORECASE
)


def find(text: str) -> Iterator[Span]:
    """Find card numbers, contiguous or in the groups in which cards show them."""
    for match in _NUMBER.finditer(text):
        written = match[0]
        digits = written.replace(" ", "").replace("-", "")
        if not (_GROUPS.fullmatch(written) and _NETWORKS.fullmatch(digits) and passes_luhn(digits)):
            continue
        if label(text, match.start(), _LABEL) is not False:
            yield Span(match.start(), match.end(), PersonalDataKind.BANK_CARD)


def passes_luhn(digits: str) -> bool:
    """Return whether the last digit is the check digit of the others."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0
