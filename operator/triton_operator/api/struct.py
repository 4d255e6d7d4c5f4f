"""The base class of all API types."""

from __future__ import annotations

import msgspec


class Struct(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Common options of all API types: immutable, camelCase in JSON, and without defaults in the encoded form."""
