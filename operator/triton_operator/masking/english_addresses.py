"""Addresses in Latin letters: a number and a street, or a street and a number, with the parts around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.word_lists import alternatives

_STREET_TYPES = alternatives("street_types")
_DIRECTION = r"(?:NE|NW|SE|SW|N|S|E|W|North|South|East|West)"
_WORD = r"[A-Z0-9][\w'.-]*"
_UNIT = r"(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Room|Rm|Building|Bldg|No|#)\.?"
_UNIT_AFTER = rf"(?:,? (?:{_UNIT} ?[0-9A-Z][0-9A-Z-]{{0,4}}|\d{{1,2}}(?:st|nd|rd|th) Floor))"
_NUMBER = r"\d{1,5}(?:[A-Z]|[/-]\d{1,4}[A-Z]?)?"
_STREET = (
    rf"{_NUMBER},? (?:(?:{_WORD}|of|the|de) ){{0,4}}?(?:(?:{_WORD}|The) (?:{_STREET_TYPES})|Kingsway|Broadway)\b"
    rf"(?: (?:{_STREET_TYPES})\b)*\.?(?: {_DIRECTION}\b)?"
)
_FRENCH = (
    rf"{_NUMBER},? (?i:rue|avenue|boulevard|place|chemin|impasse|all[ée]e|quai|cours)"
    r"(?: (?:de|des|du|la|le|les|d'|l'))*(?: [A-Z][\w'-]+){1,3}"
)
_GERMAN = r"[A-ZÄÖÜ][\wäöüß-]*(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|damm|ufer) \d{1,4}[a-z]?"
_ROMANCE = (
    r"(?:Calle|Avenida|Av\.|Paseo|Plaza|Carrer|Via|Viale|Piazza|Corso|Rua|Largo)"
    r"(?: (?:de|del|della|dei|di|la|los|das|do|da))*(?: [A-Z][\w'-]+){1,3},? \d{1,4}"
)
_BOX = r"(?:P\.? ?O\.? Box|GPO Box) \d{1,6}"
_POSTCODE = (
    r"(?:[A-Z]{2,3} \d{5}(?:-\d{4})?|[A-Z]{2} [A-Z]\d[A-Z] \d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}"
    r"|[A-Z]{2,3} \d{4}|\d{4,6})\b"
)
_PLACE = rf"[A-Z][\w'.-]+(?: (?!{_POSTCODE})[A-Z][\w'-]+| sur [A-Z]\w+){{0,3}}"
_REGION = rf"(?:(?:,| (?={_POSTCODE})) ?(?:{_POSTCODE}|{_PLACE}(?: {_POSTCODE})?))"
_TAIL = rf"(?:{_UNIT_AFTER})?(?:, \d{{4,5}} {_PLACE}|{_REGION}{{1,3}})?"
_FRONT = rf"(?:{_UNIT} ?\d{{1,4}}[A-Z]?, )?(?:{_STREET}|{_FRENCH})"
_ADDRESS = re.compile(rf"(?<![0-9A-Za-z.$€£])(?:{_FRONT}|{_GERMAN}|{_ROMANCE}|{_BOX}){_TAIL}")
_HINT = re.compile(
    rf"\b(?:{_STREET_TYPES}|Kingsway|Broadway|Box|[Rr]ue|Calle|Via|Avenida|Piazza|Rua|Plaza)\b"
    r"|stra(?:ß|ss)e|str\.|weg |platz |allee "
)
_ABBREVIATED = ("Ave.", "St.", "Rd.", "Blvd.")


def find(text: str) -> Iterator[Span]:
    """Find addresses that have a street and a number."""
    if _HINT.search(text):
        for match in _ADDRESS.finditer(text):
            is_sentence_end = match[0].endswith(".") and not match[0].endswith(_ABBREVIATED)
            end = match.end() - is_sentence_end
            yield Span(match.start(), end, PersonalDataKind.ADDRESS)
