"""Start and delete a Kubernetes cluster for the demo and the tests.

`ensure()` returns a running cluster, `down()` deletes it, and `tools()` returns the folder of programs.
`hack.cluster.controlplane` starts an API server without a node, for tests that need no pods.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hack.cluster import current, kind
from hack.cluster.choice import VARIABLE, ClusterChoice, choose
from hack.cluster.handle import RunningCluster
from hack.cluster.native import node
from hack.failures import LocalClusterError
from hack.programs.catalogue import tools
from hack.progress import say

__all__ = ["LocalClusterError", "RunningCluster", "down", "ensure", "running", "tools", "which"]


def ensure(requested: str | None = None) -> RunningCluster:
    """Return a running cluster; start one if none is running.

    `requested` is current, kind or native. Without it, $CLUSTER and then the machine determine the kind, which is
    printed. Raises LocalClusterError, which describes the solution.
    """
    chosen = which(requested)
    if chosen.kind == "native":
        return _announced(chosen, node.up())
    return _announced(chosen, kind.up() if chosen.kind == "kind" else current.up())


def running(requested: str | None = None) -> RunningCluster | None:
    """Return the running cluster, or None; starts nothing."""
    kinds: dict[str, Callable[[], RunningCluster | None]]
    kinds = {"native": node.running, "kind": kind.running, "current": current.up}
    return kinds[which(requested).kind]()


def down(requested: str | None = None) -> None:
    """Delete the cluster completely, if one is running."""
    {"native": node.down, "kind": kind.down, "current": current.down}[which(requested).kind]()


def which(requested: str | None = None) -> ClusterChoice:
    """Return the kind of cluster to use, with the reason."""
    requested = requested or os.environ.get(VARIABLE)
    native_runs = not requested and node.running() is not None
    engine = None if requested or native_runs else kind.engine()
    try:
        return choose(requested, engine, native_runs=native_runs)
    except ValueError as error:
        raise LocalClusterError(str(error)) from error


def _announced(chosen: ClusterChoice, cluster: RunningCluster) -> RunningCluster:
    say(f"cluster: {chosen.kind} ({chosen.reason})")
    return cluster
