"""What a benchmark must reach: each value with its limit, as lines for a person. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """A value and its limit; `met` says whether the value is within it."""

    name: str
    value: str
    limit: str
    met: bool


def at_most(name: str, value: float, limit: float, unit: str) -> Target:
    """A value that must not exceed the limit."""
    return Target(name, f"{value:.2f} {unit}", f"<= {limit:g} {unit}", value <= limit)


def target_lines(found: list[Target]) -> list[str]:
    """One line for each target."""
    width = max(len(target.name) for target in found)
    return [
        f"{target.name:{width}}  {target.value:>9}  {target.limit:>10}  {'met' if target.met else 'MISSED'}"
        for target in found
    ]
