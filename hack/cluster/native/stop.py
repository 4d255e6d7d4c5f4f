"""Stop the native node and remove everything except the imported images.

Input: the layout. Output: the machine's previous state. `start` (after a killed run) and `node.NativeCluster.down` call
it.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.native.isolation import remove_control_groups
from hack.failures import LocalClusterError

if TYPE_CHECKING:
    from hack.cluster.native.layout import Layout

_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.05
_SUPERVISOR = "hack.cluster.native.supervisor"


def stop(layout: Layout) -> None:
    """Terminate the node's processes, then kill those that remain."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in node_processes(layout):
            _send(pid, number)
        if _all_gone(layout):
            return
    msg = f"the node's processes {node_processes(layout)} do not end, even by force: look at them with `ps`"
    raise LocalClusterError(msg)


def clear(layout: Layout) -> None:
    """Remove the files and control groups of one run of the node."""
    remove_control_groups(layout.cgroup)
    shutil.rmtree(layout.live, ignore_errors=True)


def node_processes(layout: Layout) -> list[int]:
    """Return the supervisors that were started for this folder, even without a record.

    They are identified by their command line. The outer process (`unshare`) has the same command line, but exits after
    the inner one.
    """
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_ours(entry, layout)]


def _is_ours(entry: Path, layout: Layout) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return words[1:4] == ["-m", _SUPERVISOR, str(layout.root)]


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _all_gone(layout: Layout) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while node_processes(layout):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
