"""Parse, compare and format Kubernetes quantities of memory, disk and CPUs.

`parse_exact`, `parse_bytes` and `whole_cpus` parse values from users and the kubelet, `smaller` compares two
quantities, and `format_bytes` and `format_cpus` format values for manifests and messages.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

KI, MI, GI, TI = 1 << 10, 1 << 20, 1 << 30, 1 << 40

_BINARY = {"Ki": KI, "Mi": MI, "Gi": GI, "Ti": TI, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_SMALL = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_SUFFIXES: dict[str, int | Fraction] = {**_BINARY, **_DECIMAL, **_SMALL}
_FORM = re.compile(r"\+?(\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE]([+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]?))", re.ASCII)


def parse_bytes(text: str) -> int | None:
    """The number of bytes, rounded up as in Kubernetes; None if `text` is not a quantity or is negative."""
    exact = parse_exact(text)
    return None if exact is None else math.ceil(exact)


def whole_cpus(text: str) -> int | None:
    """The number of CPUs that this limit allows to run permanently, at least 1; None as for `parse_bytes`."""
    exact = parse_exact(text)
    return None if exact is None else max(1, math.floor(exact))


def smaller(first: str, second: str) -> str:
    """The smaller quantity, in its original form; `first` if either is not a quantity."""
    one, other = parse_exact(first), parse_exact(second)
    return second if one is not None and other is not None and other < one else first


def format_bytes(count: int) -> str:
    """The shortest exact quantity with a binary suffix."""
    for suffix, size in reversed(_BINARY.items()):
        if count and count % size == 0:
            return f"{count // size}{suffix}"
    return str(count)


def format_cpus(count: Fraction) -> str:
    """CPUs, rounded up to thousandths, the smallest unit that Kubernetes accepts."""
    thousandths = math.ceil(count * 1000)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def parse_exact(text: str) -> Fraction | None:
    """The value of a quantity; None if `text` is not a quantity or is negative."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    scale = Fraction(10) ** int(exponent) if exponent else Fraction(_SUFFIXES[suffix or ""])
    return Fraction(number) * scale
