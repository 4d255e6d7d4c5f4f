"""Conditions on the rates in HAProxy's tables.

At the end of a period, HAProxy 2.6.12 (Debian 12) sometimes reads a rate that has nothing to do with the events: of 40
addresses that sent ten requests per second each, the limits refused several in a minute, and the kubelet's probes too.
Such a rate is higher than any that the proxy can serve.
"""

from __future__ import annotations

_IMPOSSIBLE = 100_000_000


def above(rate: str, limit: int) -> str:
    """A condition: the rate, an expression, is above the limit, and possible."""
    return f"{{ {rate} gt {limit} }} !{{ {rate} gt {_IMPOSSIBLE} }}"
