"""Close idle HTTP connections, which a stopping Triton would wait for.

Input: the server's process and its HTTP port. Effect: idle connections are closed, so that the server exits immediately
instead of after its exit timeout. A connection is idle if the server sent last and neither end has sent data for one
second. The kernel measures in ticks of up to 4 ms; if both ends sent in the same tick, the required silence is longer.
If the system denies access to the connections of another process, nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

QUIET_MILLISECONDS = 1000
QUIET_AFTER_BOTH_MILLISECONDS = 5000
_PIDFD_GETFD = 438
"""Number of the system call, which is missing in Python's library; the same on x86-64 and arm64."""
_ESTABLISHED = "01"
_TCP_INFO = struct.Struct("=44xI4xI72xQ20xI")
"""From linux/tcp.h: milliseconds since data was sent and received, bytes received, data segments sent."""


def close_idle_connections(pid: int, port: int) -> None:
    """Close the idle connections of this process at this local port."""
    with suppress(OSError):
        inodes = _established(Path(f"/proc/{pid}/net/tcp").read_text(), port)
        process = os.pidfd_open(pid)
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                if _inode(entry.path) in inodes:
                    _close_if_idle(process, int(entry.name))
        finally:
            os.close(process)


def first_child(pid: int) -> int | None:
    """The ID of a process's first child; None if it has none."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return None


def _established(table: str, port: int) -> set[str]:
    """Inodes of the established connections at a local port, from /proc/PID/net/tcp (proc(5))."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[9] for row in rows if row[3] == _ESTABLISHED and int(row[1].rpartition(":")[2], 16) == port}


def _inode(path: str) -> str:
    with suppress(OSError):
        return str(Path(path).readlink()).removeprefix("socket:[").removesuffix("]")
    return ""


def _close_if_idle(process: int, descriptor: int) -> None:
    duplicate = ctypes.CDLL(None).syscall(_PIDFD_GETFD, process, descriptor, 0)
    if duplicate < 0:
        return
    with socket.socket(fileno=duplicate) as connection, suppress(OSError):
        if is_idle(*_TCP_INFO.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))):
            connection.shutdown(socket.SHUT_RDWR)


def is_idle(since_sent: int, since_received: int, received: int, segments_sent: int) -> bool:
    """Whether no response is pending on a server's connection; times in milliseconds."""
    if received and not segments_sent:
        return False
    quiet = QUIET_MILLISECONDS if since_sent < since_received else QUIET_AFTER_BOTH_MILLISECONDS
    return quiet <= since_sent <= since_received
