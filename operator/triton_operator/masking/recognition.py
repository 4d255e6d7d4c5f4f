"""Find personal data of all types in a text, in Chinese and English.

Input: a text, and the types. Output: spans in the order of the text, without overlaps. If two recognizers claim the
same characters, the type with the stronger evidence wins: a checksum before a form, a form before a name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from triton_operator.masking import (
    bank_cards,
    chinese_addresses,
    chinese_names,
    english_addresses,
    english_names,
    identity_cards,
    license_plates,
    network_addresses,
    phones,
    travel_documents,
)
from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.plain_text import plain

Recognizer: TypeAlias = Callable[[str], Iterator[Span]]
"""Returns the personal data in a text; the text is in the form of `plain`."""

_NUMBERS: tuple[Recognizer, ...] = (identity_cards.find, bank_cards.find, phones.find, travel_documents.find)
_OTHERS: tuple[Recognizer, ...] = (license_plates.find, network_addresses.find)
_LATIN: tuple[Recognizer, ...] = (english_addresses.find, english_names.find)
_CHINESE: tuple[Recognizer, ...] = (chinese_addresses.find, chinese_names.find)

_STRENGTH = {
    kind: place
    for place, kind in enumerate(
        (
            PersonalDataKind.EMAIL,
            PersonalDataKind.ID_CARD,
            PersonalDataKind.BANK_CARD,
            PersonalDataKind.PASSPORT,
            PersonalDataKind.LICENSE_PLATE,
            PersonalDataKind.IP,
            PersonalDataKind.PHONE,
            PersonalDataKind.ADDRESS,
            PersonalDataKind.NAME,
        )
    )
}


def find(text: str, kinds: Iterable[str] = PersonalDataKind, recognizers: Iterable[Recognizer] = ()) -> list[Span]:
    """Return the personal data in a text; `recognizers` are used in addition, and win over the ones here."""
    wanted = frozenset(kinds)
    search = plain(text)
    own = [span for recognize in recognizers for span in recognize(search)]
    found = [span for recognize in _suitable(search) for span in recognize(search) if span.type in wanted]
    found.sort(key=lambda span: (_STRENGTH[PersonalDataKind(span.type)], span.start - span.end))
    return _without_overlaps([*own, *found])


def _suitable(text: str) -> Iterator[Recognizer]:
    """Return the recognizers that can find something."""
    if any(map(str.isdigit, text)):
        yield from _NUMBERS
    yield from _OTHERS
    if not text.isascii():
        yield from _CHINESE
    yield from _LATIN


def _without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """Keep the first of spans that overlap, and sort the rest by place."""
    kept: list[Span] = []
    for span in spans:
        place = bisect_left(kept, span)
        before, after = kept[place - 1 : place], kept[place : place + 1]
        if all(each.end <= span.start for each in before) and all(span.end <= each.start for each in after):
            kept.insert(place, span)
    return kept
