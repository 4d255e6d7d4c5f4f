"""HTTP connections that a stopping Triton would wait for although nothing is asked over them.

Input: the server's process and its HTTP port. Output: those connections closed, so that the server ends at once and
not after its exit timeout. A connection is idle when the server spoke last and both ends have been silent for a second.
The kernel counts in ticks of up to 4 ms: where both spoke in the same one, it has to be silent for longer. Where the
system does not allow to take part in a process' connections, nothing happens.
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
"""The number of the system call, for which Python has no function; the same on x86-64 and arm64."""
_ESTABLISHED = "01"
_TCP_INFO = struct.Struct("=44xI4xI72xQ20xI")
"""Of linux/tcp.h: milliseconds since data was sent and received, bytes received, segments of data sent."""


def close_idle(pid: int, port: int) -> None:
    """Close the idle ones among the connections of this process at this port."""
    with suppress(OSError):
        inodes = _connected(Path(f"/proc/{pid}/net/tcp").read_text(), port)
        process = os.pidfd_open(pid)
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                if _inode(entry.path) in inodes:
                    _close_if_idle(process, int(entry.name))
        finally:
            os.close(process)


def child(pid: int) -> int | None:
    """The first child of a process, None when it has none."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return None


def _connected(table: str, port: int) -> set[str]:
    """Inodes of the connections at a local port, out of /proc/PID/net/tcp (proc(5))."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[9] for row in rows if row[3] == _ESTABLISHED and int(row[1].rpartition(":")[2], 16) == port}


def _inode(path: str) -> str:
    with suppress(OSError):
        return str(Path(path).readlink()).removeprefix("socket:[").removesuffix("]")
    return ""


def _close_if_idle(process: int, descriptor: int) -> None:
    own = ctypes.CDLL(None).syscall(_PIDFD_GETFD, process, descriptor, 0)
    if own < 0:
        return
    with socket.socket(fileno=own) as connection, suppress(OSError):
        if is_idle(*_TCP_INFO.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))):
            connection.shutdown(socket.SHUT_RDWR)


def is_idle(since_sent: int, since_received: int, received: int, segments_sent: int) -> bool:
    """Whether a server's connection waits for no answer; times in milliseconds."""
    if received and not segments_sent:
        return False
    quiet = QUIET_MILLISECONDS if since_sent < since_received else QUIET_AFTER_BOTH_MILLISECONDS
    return quiet <= since_sent <= since_received
