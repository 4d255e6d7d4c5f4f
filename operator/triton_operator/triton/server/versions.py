"""Triton's releases: parse and compare them, and list their known vulnerabilities.

A release is named YY.MM, like its container image. `resources` parses the versions of users and the image catalogue,
`flags` compares versions, and `reconcile` reports known vulnerabilities. The package includes the table of security
bulletins, because an operator without internet access must also report them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple


class Version(NamedTuple):
    """A release by year (two digits) and month; ordered by time and formatted as YY.MM."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:02d}.{self.month:02d}"


SECURITY_FLOOR = Version(26, 7)
"""The oldest release without a published vulnerability."""

CANCELLATION_FIXED = Version(25, 4)
"""The first release that does not crash if clients cancel gRPC calls (server, pull requests 7840 in 24.12 and 8078 for
a rarer race). On 24.10, twelve clients with deadlines of milliseconds crashed it within 3 s."""

_CANCELLATION = "Clients can crash its replicas by cancelling gRPC calls."

_FORM = re.compile(r"([0-9]{2})\.(0[1-9]|1[0-2])")


def parse(text: str) -> Version:
    """Parse YY.MM; raises ValueError with a message for the user."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(
            f'"{text}" is not a Triton release: expected YY.MM as in the image tag, such as {SECURITY_FLOOR}'
        )
    return Version(int(match[1]), int(match[2]))


class Bulletin(NamedTuple):
    """One of NVIDIA's security bulletins, or the part of it that one release fixed.

    `worst` is the highest CVSS base score of its CVEs, 0.0 if no score is known.
    """

    fixed_in: Version
    number: int
    cves: tuple[str, ...]
    worst: float


BULLETINS = (
    Bulletin(
        Version(25, 5),
        5687,
        ("CVE-2025-23323", "CVE-2025-23324", "CVE-2025-23325", "CVE-2025-23326", "CVE-2025-23327", "CVE-2025-23335"),
        7.5,
    ),
    Bulletin(Version(25, 6), 5687, ("CVE-2025-23322", "CVE-2025-23331"), 7.5),
    Bulletin(
        Version(25, 7),
        5687,
        (
            "CVE-2025-23310",
            "CVE-2025-23311",
            "CVE-2025-23317",
            "CVE-2025-23318",
            "CVE-2025-23319",
            "CVE-2025-23320",
            "CVE-2025-23321",
            "CVE-2025-23333",
            "CVE-2025-23334",
        ),
        9.8,
    ),
    Bulletin(Version(25, 8), 5691, ("CVE-2025-23316", "CVE-2025-23328", "CVE-2025-23329", "CVE-2025-23336"), 9.8),
    Bulletin(Version(25, 9), 5723, ("CVE-2025-33202",), 7.5),
    Bulletin(Version(25, 10), 5734, ("CVE-2025-33211", "CVE-2025-33201"), 7.5),
    Bulletin(Version(26, 1), 5790, ("CVE-2025-33238", "CVE-2025-33254", "CVE-2026-24158"), 7.5),
    Bulletin(
        Version(26, 2),
        5816,
        ("CVE-2026-24146", "CVE-2026-24173", "CVE-2026-24174", "CVE-2026-24175", "CVE-2026-24147"),
        7.5,
    ),
    Bulletin(
        Version(26, 3),
        5828,
        ("CVE-2026-24207", "CVE-2026-24209", "CVE-2026-24210", "CVE-2026-24206", "CVE-2026-24208"),
        9.8,
    ),
    Bulletin(Version(26, 3), 5860, ("CVE-2026-47487",), 4.4),
    Bulletin(Version(26, 4), 5848, ("CVE-2026-24264", "CVE-2026-24266"), 7.5),
    Bulletin(
        Version(26, 5),
        5853,
        (
            "CVE-2026-47476",
            "CVE-2026-47477",
            "CVE-2026-47478",
            "CVE-2026-47479",
            "CVE-2026-47480",
            "CVE-2026-47482",
            "CVE-2026-47481",
        ),
        7.5,
    ),
    Bulletin(
        Version(26, 6),
        5865,
        ("CVE-2026-47627", "CVE-2026-47628", "CVE-2026-47629", "CVE-2026-47606", "CVE-2026-47630"),
        9.8,
    ),
    Bulletin(Version(26, 7), 5875, (), 0.0),
)
"""Bulletins for the server since mid-2025 (github.com/NVIDIA/product-security), without the DALI backend, ordered by
the release with the fix. Each lists its worst CVE first. Only the number of 5875 (severity HIGH) is known."""


class Vulnerability(NamedTuple):
    """The vulnerabilities of a release: `fixed_in` is the oldest release with all fixes, `ids` are their identifiers.

    `ids` contains CVEs, those of the worst bulletin first, or "bulletin N" if the CVEs of a bulletin are not known.
    """

    fixed_in: Version
    ids: tuple[str, ...]
    message: str


@cache
def vulnerability(version: Version) -> Vulnerability | None:
    """The known vulnerabilities of a release, combined; None for a release at or above SECURITY_FLOOR."""
    missing = sorted((each for each in BULLETINS if version < each.fixed_in), key=lambda each: -each.worst)
    if not missing:
        return None
    fixed_in = max(each.fixed_in for each in missing)
    ids = tuple(name for each in missing for name in each.cves or (f"bulletin {each.number}",))
    count = len({each.number for each in missing})
    bulletins = "1 NVIDIA security bulletin" if count == 1 else f"{count} NVIDIA security bulletins"
    score = f", CVSS {missing[0].worst}" if missing[0].worst else ""
    message = (
        f"Triton {version} lacks the fixes of {bulletins} (the worst: {ids[0]}{score}, "
        f"fixed in {missing[0].fixed_in}). "
        f"{f'{_CANCELLATION} ' if version < CANCELLATION_FIXED else ''}Use {fixed_in} or newer."
    )
    return Vulnerability(fixed_in, ids, message)
