"""Count the instructions that a process executes, which does not depend on the load of the machine.

Input: a process id. Output: a counter, or None if the kernel or the machine does not support it.
`perf_event_open(2)` has no wrapper in the C library, so it is called by number.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_HARDWARE, _INSTRUCTIONS = 0, 1
_INHERIT = 1 << 1


class _Attributes(ctypes.Structure):
    """`struct perf_event_attr`, as long as its first version."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 2),
    )


class Counter:
    """Counts the instructions of the thread `pid` and of the threads that it starts from now on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self) -> int:
        """Instructions so far, in user and kernel mode."""
        value: int = struct.unpack("Q", os.read(self._descriptor, 8))[0]
        return value

    def close(self) -> None:
        """Close the counter."""
        os.close(self._descriptor)


def count_instructions(pid: int) -> Counter | None:
    """A running counter, or None if counters are not available."""
    number = _SYSCALL.get(platform.machine())
    if number is None:
        return None
    attributes = _Attributes(type=_HARDWARE, size=ctypes.sizeof(_Attributes), config=_INSTRUCTIONS, flags=_INHERIT)
    descriptor = ctypes.CDLL(None).syscall(number, ctypes.byref(attributes), pid, -1, -1, 0)
    return None if descriptor < 0 else Counter(descriptor)
