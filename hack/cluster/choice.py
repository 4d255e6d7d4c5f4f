"""Select the kind of cluster; pure.

Input: the requested kind and the state of the machine. Output: the kind with a printable reason. `hack.cluster` calls
it.
"""

from __future__ import annotations

from dataclasses import dataclass

VARIABLE = "CLUSTER"
KINDS = ("current", "kind", "native")


@dataclass(frozen=True)
class ClusterChoice:
    """A kind of cluster, and the reason as a clause."""

    kind: str
    reason: str


def choose(requested: str | None, engine: str | None, *, native_runs: bool) -> ClusterChoice:
    """Select the requested kind, else a running native node, else kind if `engine` responds, else native.

    Raises ValueError for an unknown kind.
    """
    if requested:
        if requested not in KINDS:
            msg = f"{VARIABLE}={requested} is not a kind of cluster; choose one of {', '.join(KINDS)}"
            raise ValueError(msg)
        return ClusterChoice(requested, f"{VARIABLE}={requested} was given")
    if native_runs:
        return ClusterChoice("native", "it runs already")
    if engine:
        return ClusterChoice("kind", f"the container engine {engine} answers")
    return ClusterChoice("native", "no container engine answers")
