"""Check whether this machine can run the CPU Triton, before anything is changed.

Input: properties of the machine. Output: none, or UnsupportedMachineError with what is missing. The server's packages
require x86-64 and glibc 2.35 (`manylinux_2_35_x86_64`), and Triton starts its stub processes through bash.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.quantity import GI
from triton_operator.local.errors import UnsupportedMachineError

GLIBC = (2, 35)
REQUIRED_BYTES = 5 * GI
"""Disk space to create the environment: downloaded packages, unpacked packages, and the result (1 GiB)."""


class Machine(NamedTuple):
    """The relevant properties of a machine; `glibc` is "" if it uses another C library."""

    system: str
    processor: str
    glibc: str
    has_bash: bool
    has_shared_memory: bool


def usable_cpus() -> int:
    """Number of whole CPUs that this process may use: its CPU affinity, limited by the container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # The file is missing or contains "max": no limit.
        return allowed


def inspect_machine() -> Machine:
    """Read the properties of this machine."""
    names = getattr(os, "confstr_names", {})
    glibc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in names else ""
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        glibc=glibc or "",
        has_bash=shutil.which("bash") is not None,
        has_shared_memory=os.access("/dev/shm", os.W_OK),  # noqa: S108 -- the path that the kernel defines
    )


def check_machine(machine: Machine) -> None:
    """Raise UnsupportedMachineError for the first missing requirement."""
    alternative = "deploy to a cluster instead (tritonctl render -f FILE | kubectl apply -f -)"
    if (machine.system, machine.processor) != ("Linux", "x86_64"):
        raise UnsupportedMachineError(
            f"the CPU Triton requires Linux on x86-64, and this is {machine.system or sys.platform} on "
            f"{machine.processor or 'an unknown processor'}; use a Linux machine or container, or {alternative}"
        )
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", machine.glibc)
    if found is None or (int(found[1]), int(found[2])) < GLIBC:
        raise UnsupportedMachineError(
            f"the CPU Triton requires glibc {'.'.join(map(str, GLIBC))} or newer, and this system has "
            f"{machine.glibc or 'another C library'}; use, for example, Debian 12 or Ubuntu 22.04"
        )
    if not machine.has_bash:
        raise UnsupportedMachineError(
            "bash was not found on PATH; install it, because Triton starts the processes of models through bash"
        )
    if not machine.has_shared_memory:
        raise UnsupportedMachineError("models exchange tensors with Triton in /dev/shm, which is not writable")


def check_disk_space(folder: Path) -> None:
    """Raise UnsupportedMachineError if `folder`, which may not exist yet, is not writable or its disk is too full."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if free < REQUIRED_BYTES:
        raise UnsupportedMachineError(
            f"{existing} has {free / GI:.1f} GiB free, and Triton's environment requires {REQUIRED_BYTES // GI} GiB; "
            "free disk space, or set TRITON_OPERATOR_CACHE to a folder on another disk"
        )
    if not os.access(existing, os.W_OK):
        raise UnsupportedMachineError(f"{existing} is not writable; set TRITON_OPERATOR_CACHE to a writable folder")
