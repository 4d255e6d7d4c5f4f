"""The certificate authorities of one installation, and when one replaces another.

A rotation has three steps, so that a server never presents a certificate whose authority its clients do not trust yet:


1. The next authority is created. It is part of the bundle, but does not sign yet (ANNOUNCED).
2. It becomes active: all serving certificates are issued again. Both authorities are trusted (KEPT).
3. The previous authority is removed.

The validity periods of the certificates encode these times, so a restarted operator continues with the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from triton_operator.certificates.authority import Authority, create_authority
from triton_operator.certificates.keys import Generate, generate_key
from triton_operator.certificates.periods import ANNOUNCED, KEPT

_ROTATE_AT = 2 / 3


class Rotation(StrEnum):
    """What an administrator can request: a change during which both authorities are trusted, or an immediate one."""

    GRADUAL = "Gradual"
    NOW = "Now"


@dataclass(frozen=True, slots=True)
class Authorities:
    """All stored authorities, the newest first; never empty."""

    all: tuple[Authority, ...]

    def signing(self, now: datetime) -> Authority:
        """The newest active one; the oldest if none is active, because the clock was set back."""
        return next((each for each in self.all if each.active_from <= now), self.all[-1])

    def bundle(self, now: datetime) -> str:
        """The certificates that clients trust, the signing one first."""
        signing = self.signing(now)
        others = (each for each in self.all if each is not signing)
        return b"".join(each.certificate_pem for each in (signing, *others)).decode()

    def next_change(self, now: datetime) -> datetime:
        """The next time at which `rotate` or `signing` returns a different result."""
        times = [each.active_from for each in self.all if each.active_from > now]
        if len(self.all) > 1:
            times.append(self.all[0].active_from + KEPT)
        times.append(_rotate_at(self.all[0]))
        return min(times)


def sort_authorities(authorities: list[Authority]) -> Authorities:
    """The authorities in the order of their activation."""
    return Authorities(tuple(sorted(authorities, key=lambda each: each.active_from, reverse=True)))


def rotate(
    authorities: Authorities | None,
    now: datetime,
    requested: Rotation | None = None,
    *,
    announced: timedelta = ANNOUNCED,
    generate: Generate = generate_key,
) -> Authorities:
    """The authorities that should be stored now; the same object if nothing has to change."""
    if authorities is None or requested is Rotation.NOW:
        return Authorities((create_authority(now, generate),))
    newest = authorities.all[0]
    if requested or now >= _rotate_at(newest):
        if newest.active_from > now:
            return authorities  # The next one is announced already.
        # At most two are stored: the predecessor of the signing one is removed, even before KEPT has passed.
        return Authorities((create_authority(now + announced, generate), authorities.signing(now)))
    if len(authorities.all) > 1 and now >= newest.active_from + KEPT:
        return Authorities((newest,))
    return authorities


def _rotate_at(authority: Authority) -> datetime:
    return authority.active_from + (authority.expires_at - authority.active_from) * _ROTATE_AT
