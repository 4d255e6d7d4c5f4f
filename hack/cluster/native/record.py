"""Which process the node is, kept in a file from one command to the next.

Input: the layout. Output: a record, or None when no node runs. A process id alone may since belong to another program,
so its start time is stored with it.
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
    """A running node: the supervisor's process as the machine numbers it, and how far the start came."""

    supervisor: int
    started: int
    api_port: int
    programs: str
    complete: bool = False


def running(layout: Layout) -> RunRecord | None:
    """Return the record of the node that runs now."""
    record = _read(layout.run_record)
    if record is None or start_time(record.supervisor) != record.started:
        return None
    return record


def write(layout: Layout, record: RunRecord) -> None:
    """Keep the record, replacing the older one in one step."""
    draft = layout.run_record.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(layout.run_record)


def component_states(layout: Layout) -> dict[str, dict[str, Any]]:
    """Return what the supervisor last said of each component: running, ready, restarts, lastExit."""
    try:
        states: dict[str, dict[str, Any]] = json.loads(layout.status_record.read_text())
    except FileNotFoundError:
        return {}
    return states


def start_time(pid: int) -> int | None:
    """Return when the process started, in clock ticks since the machine did; None when there is none or it is dead."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in {"Z", "X"} else int(fields[19])


def child_of(parent: int) -> int | None:
    """Return a process whose parent is `parent`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and int(fields[1]) == parent:
                return int(entry.name)
    return None


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on: the name before it may hold blanks and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _read(path: Path) -> RunRecord | None:
    try:
        return RunRecord(**json.loads(path.read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        # Absent, cut short, or written by another version of this program: no node that we know of.
        return None
