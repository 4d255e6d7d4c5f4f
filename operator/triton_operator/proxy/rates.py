"""Conditions on the rates in HAProxy's tables.

At the end of a period, HAProxy 2.6.12 (Debian 12) sometimes reads a wrong rate. In a test, 40 addresses sent ten
requests per second each, which is below the limits; within a minute, the proxy refused several of them, and probes of
the kubelet. A wrong rate is higher than any rate that the proxy can serve, so the conditions ignore such rates.
"""

from __future__ import annotations

_IMPOSSIBLE = 100_000_000


def above(rate: str, limit: int) -> str:
    """Return a condition that is true if the expression `rate` is above the limit, and not impossibly high."""
    return f"{{ {rate} gt {limit} }} !{{ {rate} gt {_IMPOSSIBLE} }}"
