"""Select the CPU of processes, and read what a process and its descendants use.

Input: process ids. Output: CPU seconds and bytes. Linux only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """Run this thread, and the processes that it starts in the block, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process, its descendants, and the descendants that have ended and were waited for."""
    ticks = sum(sum(map(int, _stat(each)[11:15])) for each in tree(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """The memory of a process and its descendants in bytes; a page that several of them share counts once (PSS)."""
    total = 0
    for each in tree(pid):
        found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # The process has ended.
            children.setdefault(int(_stat(int(folder.name))[1]), []).append(int(folder.name))
    found = [pid]
    for each in found:  # The loop extends the list.
        found += children.get(each, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the state on, because the name before it can contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
