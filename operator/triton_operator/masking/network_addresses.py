"""E-mail addresses, and IP addresses of both versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.labels import label

_EMAIL = re.compile(
    r"(?<![0-9A-Za-z._%+-])[0-9A-Za-z](?:[0-9A-Za-z._%+-]{0,62}[0-9A-Za-z_+-])?"
    r"@(?:[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.)+[A-Za-z]{2,24}(?![0-9A-Za-z@-])"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z.=-])(?<!==)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z-])(?!\.\d)", re.ASCII)
_IPV4_AFTER_SIGN = re.compile(rf"(?<=[=-])(?<!==)(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z-])(?!\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f:]{3,39}(?![0-9A-Za-z:])", re.ASCII)
_LABEL = re.compile(
    r"\bip\b|ipv4|地址|address|host|server|服务器|client|from|gateway|网关|登录|主机|dns", re.IGNORECASE
)
_ALL_GROUPS = 7
_LONG_GROUP = re.compile(r"(?:^|:)(?=[0-9a-f]*\d)[0-9a-f]{3,4}(?::|$)|^fe80:", re.IGNORECASE)


def find(text: str) -> Iterator[Span]:
    """Find addresses; a label distinguishes a version number of four parts from an IPv4 address."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Span(match.start(), match.end(), PersonalDataKind.EMAIL)
    if text.count(".") >= 3:  # noqa: PLR2004 -- the dots of an address
        for pattern in (_IPV4, _IPV4_AFTER_SIGN):
            for match in pattern.finditer(text):
                if label(text, match.start(), _LABEL) is not False:
                    yield Span(match.start(), match.end(), PersonalDataKind.IP)
    if text.count(":") >= 2:  # noqa: PLR2004 -- the shortest is a::b
        for match in _IPV6.finditer(text):
            found = match[0][:-1] if match[0].endswith(":") and not match[0].endswith("::") else match[0]
            if _is_ipv6(found):
                yield Span(match.start(), match.start() + len(found), PersonalDataKind.IP)


def _is_ipv6(text: str) -> bool:
    """Return whether this is an address and not a time, a hardware address or a name in a program such as a::b."""
    if "::" not in text and text.count(":") != _ALL_GROUPS:
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return bool(_LONG_GROUP.search(text))
