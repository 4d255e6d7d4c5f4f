"""What must happen to the certificate of one deployment now, and when to look again. It imports no cryptography."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from triton_operator.certificates.facts import CertificateFacts

_RENEW_AT = 2 / 3
_ALWAYS = datetime.max.replace(tzinfo=UTC)


class Wanted(NamedTuple):
    """A deployment that needs a certificate: its name, uid and DNS names."""

    name: str
    uid: str
    names: tuple[str, ...]


class Need(StrEnum):
    """What to do with a stored certificate. RESTORE: replace it, because it is not usable or was changed."""

    NOTHING = "nothing"
    ISSUE = "issue"
    RENEW = "renew"
    REISSUE = "reissue"
    RESTORE = "restore"


class Judgement(NamedTuple):
    """What must happen, and why; if that is NOTHING, `until` is the time up to which this applies."""

    need: Need
    why: str = ""
    until: datetime = _ALWAYS


def judge(
    facts: CertificateFacts | None,
    names: Collection[str],
    *,
    signed_by: str,
    signing: str,
    now: datetime,
) -> Judgement:
    """Decide what must happen to a stored certificate; `facts` is None if there is none.

    `signed_by` is the trusted authority that has signed it, "" if none has; `signing` is the one
    that currently signs.
    """
    if facts is None:
        return Judgement(Need.ISSUE, "it does not exist")
    if problem := facts.problem or ("" if signed_by else "the authority has not signed it"):
        return Judgement(Need.RESTORE, problem)
    if signed_by != signing:
        return Judgement(Need.REISSUE, "the authority has changed")
    if facts.names != frozenset(names):
        return Judgement(Need.REISSUE, "its names have changed")
    renew_at = facts.not_before + (facts.not_after - facts.not_before) * _RENEW_AT
    if now >= renew_at:
        return Judgement(Need.RENEW, f"it expires at {facts.not_after:%Y-%m-%dT%H:%M:%SZ}")
    return Judgement(Need.NOTHING, until=renew_at)
