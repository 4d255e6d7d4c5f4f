"""What the operator remembers of a stored certificate and its key; the key itself is not kept in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

_NEVER = datetime.min.replace(tzinfo=UTC)


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate and whether its key belongs to it; `authority` is the key identifier of the issuer that it names.

    `problem` is why the pair cannot be used, "" if it can; the other fields are then empty. `digest` is that of the
    stored text of both.
    """

    digest: str
    problem: str = ""
    serial: str = ""
    names: frozenset[str] = frozenset()
    authority: str = ""
    not_before: datetime = _NEVER
    not_after: datetime = _NEVER
    der: bytes = b""
