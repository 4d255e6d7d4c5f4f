"""The base class of all API types."""

from __future__ import annotations

import msgspec


class Struct(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Common options of all API types: immutable, camelCase on the wire, defaults left out when written."""
