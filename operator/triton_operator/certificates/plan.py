"""Decide which certificates of one namespace to issue in the next write, and build the write as data.

One write may concern several deployments, because all certificates of a namespace are in one Secret: when the authority
changes, 500 deployments need 10 writes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from triton_operator.certificates.authority import Authority, is_signed_by
from triton_operator.certificates.facts import CertificateFacts
from triton_operator.certificates.rotation import Authorities
from triton_operator.certificates.serving import IssuedCertificate, issue
from triton_operator.certificates.serving_data import ServingData, encode_pair, without_pair
from triton_operator.certificates.state import Judgement, Need, Wanted, judge

BATCH = 50
"""Certificates per write; each takes about a millisecond."""

SIZE_LIMIT = 900 << 10
"""Bytes of data up to which certificates are added; Kubernetes accepts 1 MiB."""

_PAIR_SIZE = 2048
"""Maximum bytes of one certificate and its key, with their names in the Secret, without additional host names."""


class Change(NamedTuple):
    """One certificate that is issued, and why."""

    wanted: Wanted
    judgement: Judgement


class CertificatePlan(NamedTuple):
    """The certificates to issue; `is_full` means that the Secret has no room for the first wanted certificate."""

    changes: tuple[Change, ...]
    obsolete: tuple[str, ...] = ()
    is_full: bool = False


def judge_pair(wanted: Wanted, data: ServingData | None, authorities: Authorities, now: datetime) -> Judgement:
    """What must happen to the certificate of one deployment."""
    facts = data.pairs.get(wanted.name) if data else None
    signer = _signer(facts, authorities)
    return judge(facts, wanted.names, signed_by=signer, signing=authorities.signing(now).id, now=now)


def plan_certificates(
    wanted: Iterable[Wanted],
    data: ServingData | None,
    authorities: Authorities,
    now: datetime,
    obsolete: tuple[str, ...] = (),
) -> CertificatePlan:
    """The next write. It always contains the first certificate in `wanted`, if that has to change.

    `obsolete` are certificates that no deployment needs. They are removed together with other changes, or alone if the
    first wanted certificate has room only without them. If it has no room even then, the plan is full, whatever the
    other deployments need; in a namespace with many deployments, this is the result for most of them.
    """
    room = SIZE_LIMIT - (data.size if data else 0)
    changes: list[Change] = []
    for index, each in enumerate(wanted):
        judgement = judge_pair(each, data, authorities, now)
        if judgement.need is Need.NOTHING:
            continue
        if judgement.need is Need.ISSUE:
            size = _PAIR_SIZE + sum(map(len, each.names))
            if size > room and not index:
                return CertificatePlan((), obsolete, is_full=not obsolete)
            if size > room:
                continue
            room -= size
        changes.append(Change(each, judgement))
        if len(changes) == BATCH:
            break
    return CertificatePlan(tuple(changes), obsolete if changes else ())


def issue_all(
    plan: CertificatePlan,
    authority: Authority,
    now: datetime,
    issue_one: Callable[[Authority, tuple[str, ...], datetime], IssuedCertificate] = issue,
) -> dict[str, str | None]:
    """A merge patch of the Secret's data."""
    data: dict[str, str | None] = {key: None for name in plan.obsolete for key in without_pair(name)}
    for change in plan.changes:
        issued = issue_one(authority, change.wanted.names, now)
        data |= encode_pair(change.wanted.name, issued.certificate, issued.key)
    return data


def _signer(facts: CertificateFacts | None, authorities: Authorities) -> str:
    if facts is None or facts.problem:
        return ""
    found = (each for each in authorities.all if each.id == facts.authority)
    return next((each.id for each in found if _is_signed_by(facts.der, each)), "")


_is_signed_by = functools.lru_cache(maxsize=4096)(is_signed_by)
"""Remembers the results for up to 4,096 certificates, which needs 3 MB."""
