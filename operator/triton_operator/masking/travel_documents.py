"""Numbers of passports: those of China by their form, others by their label."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.labels import label

_CHINESE = re.compile(r"[EG]\d{8}|E[A-HJ-NP-Z]\d{7}")
_ANY = re.compile(r"(?<![0-9A-Za-z-])(?=(?:[A-Z]*\d){5})[0-9A-Z]{7,9}(?![0-9A-Za-z-])", re.ASCII)
_LABEL = re.compile(r"passport|护照|travel document|通行证|旅行证", re.IGNORECASE)


def find(text: str) -> Iterator[Span]:
    """Find passport numbers."""
    for match in _ANY.finditer(text):
        labelled = label(text, match.start(), _LABEL)
        if labelled or (labelled is None and _CHINESE.fullmatch(match[0])):
            yield Span(match.start(), match.end(), PersonalDataKind.PASSPORT)
