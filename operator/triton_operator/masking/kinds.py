"""Types of personal data, and the places where they were found."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PersonalDataKind(StrEnum):
    """A type of personal data."""

    NAME = "NAME"
    PHONE = "PHONE"
    ID_CARD = "ID_CARD"
    """Resident identity card of China, 15 or 18 characters."""
    BANK_CARD = "BANK_CARD"
    EMAIL = "EMAIL"
    IP = "IP"
    PASSPORT = "PASSPORT"
    LICENSE_PLATE = "LICENSE_PLATE"
    ADDRESS = "ADDRESS"
    """A postal address with at least a street and a number."""


class Span(NamedTuple):
    """Personal data in a text: offsets in characters, and the type."""

    start: int
    end: int
    type: str
