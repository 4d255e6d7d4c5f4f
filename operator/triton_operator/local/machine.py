"""Whether this machine can run the CPU Triton at all, asked before anything is changed.

Input: what the machine reports. Output: nothing, or UnsupportedMachineError with what is missing. The server's packages
are programs for x86-64 and glibc 2.35 (`manylinux_2_35_x86_64`), and Triton starts its helpers through bash.
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
NEEDED_BYTES = 5 * GI
"""While the environment is made: packages as they come, unpacked, and what is kept of them (1 GiB)."""


class Machine(NamedTuple):
    """What counts of a machine; `glibc` is "" where the C library is another one."""

    system: str
    processor: str
    glibc: str
    has_bash: bool
    has_shared_memory: bool


def usable_cpus() -> int:
    """Whole CPUs that this process may use: those that it may run on, and no more than a container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # No such file, or "max": nothing limits it.
        return allowed


def this_machine() -> Machine:
    """Look at the machine."""
    names = getattr(os, "confstr_names", {})
    glibc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in names else ""
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        glibc=glibc or "",
        has_bash=shutil.which("bash") is not None,
        has_shared_memory=os.access("/dev/shm", os.W_OK),  # noqa: S108 -- the kernel's place for it
    )


def check_machine(machine: Machine) -> None:
    """Raise UnsupportedMachineError for the first thing that is missing."""
    elsewhere = "deploy to a cluster instead (tritonctl render -f FILE | kubectl apply -f -)"
    if (machine.system, machine.processor) != ("Linux", "x86_64"):
        raise UnsupportedMachineError(
            f"the CPU Triton is a program for Linux on x86-64, and this is {machine.system or sys.platform} on "
            f"{machine.processor or 'an unknown processor'}; run this in a Linux machine or container, or {elsewhere}"
        )
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", machine.glibc)
    if found is None or (int(found[1]), int(found[2])) < GLIBC:
        raise UnsupportedMachineError(
            f"the CPU Triton needs glibc {'.'.join(map(str, GLIBC))} or newer, and this system has "
            f"{machine.glibc or 'another C library'}; Debian 12 and Ubuntu 22.04 have it"
        )
    if not machine.has_bash:
        raise UnsupportedMachineError(
            "Triton starts the processes of models through bash, and there is none on PATH: install it"
        )
    if not machine.has_shared_memory:
        raise UnsupportedMachineError("models exchange tensors with Triton in /dev/shm, and it cannot be written here")


def check_room(folder: Path) -> None:
    """Raise UnsupportedMachineError if the disk of `folder`, which may not exist yet, has too little free space."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < NEEDED_BYTES:
        raise UnsupportedMachineError(
            f"{place} has {free / GI:.1f} GiB free, and making Triton's environment takes {NEEDED_BYTES // GI} GiB; "
            "free some, or set TRITON_OPERATOR_CACHE to a folder on another disk"
        )
    if not os.access(place, os.W_OK):
        raise UnsupportedMachineError(f"{place} cannot be written; set TRITON_OPERATOR_CACHE to a folder that can")
