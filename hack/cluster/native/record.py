"""Store the node's process in a file, so that later commands find it.

Input: the layout. Output: a record, or None if no node is running. The record includes the process's start time,
because the process ID alone may meanwhile belong to another program.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hack.cluster.native.layout import Layout


@dataclass(frozen=True)
class RunRecord:
    """A running node: the supervisor's process ID outside the namespaces, and whether its start is complete."""

    supervisor: int
    started: int
    api_port: int
    programs: str
    complete: bool = False


def running(layout: Layout) -> RunRecord | None:
    """Return the record of the running node; None if there is none."""
    record = _read(layout.run_record)
    if record is None or start_time(record.supervisor) != record.started:
        return None
    return record


def write(layout: Layout, record: RunRecord) -> None:
    """Write the record; it replaces the previous one atomically."""
    draft = layout.run_record.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(layout.run_record)


def component_states(layout: Layout) -> dict[str, dict[str, Any]]:
    """Return the last state that the supervisor reported for each component: running, ready, restarts, lastExit."""
    try:
        states: dict[str, dict[str, Any]] = json.loads(layout.status_record.read_text())
    except FileNotFoundError:
        return {}
    return states


def start_time(pid: int) -> int | None:
    """Return the process's start time in clock ticks since the machine booted; None if it does not exist or is dead."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in {"Z", "X"} else int(fields[19])


def child_of(parent: int) -> int | None:
    """Return a process whose parent is `parent`; None if there is none."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and int(fields[1]) == parent:
                return int(entry.name)
    return None


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; the preceding name may contain spaces and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _read(path: Path) -> RunRecord | None:
    try:
        return RunRecord(**json.loads(path.read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        # The file is absent, truncated, or written by another version of this program: no known node is running.
        return None
