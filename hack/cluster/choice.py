"""Which kind of cluster is used, and why; pure.

Input: what was asked for and what the machine has. Output: a choice that can be said to a person. Called by
`hack.cluster`.
"""

from __future__ import annotations

from dataclasses import dataclass

VARIABLE = "CLUSTER"
KINDS = ("current", "kind", "native")


@dataclass(frozen=True)
class Choice:
    """A kind of cluster and the reason for it, as half a sentence."""

    kind: str
    reason: str


def choose(asked: str | None, engine: str | None, *, native_runs: bool) -> Choice:
    """Decide: what was asked for; else the native node that runs; else kind when `engine` answers; else native.

    Raises ValueError for a kind that does not exist.
    """
    if asked:
        if asked not in KINDS:
            msg = f"{VARIABLE}={asked} is not a kind of cluster; choose one of {', '.join(KINDS)}"
            raise ValueError(msg)
        return Choice(asked, f"{VARIABLE}={asked} was given")
    if native_runs:
        return Choice("native", "it runs already")
    if engine:
        return Choice("kind", f"the container engine {engine} answers")
    return Choice("native", "no container engine answers")
