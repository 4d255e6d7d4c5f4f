"""Check whether the machine can run a node, before anything is changed.

Input: the properties of the machine. Output: findings, each with its solution. `hack.preflight` and `node` check the
properties that can be read; `start` then tries the kernel's features in temporary namespaces. The first part requires
only the standard library.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.failures import MachineError

_GIB = 1024**3
_BUILD_DISK_GIB, _RUN_DISK_GIB = 12, 4
_MEMORY_GIB = 3
_NAMESPACES = ("mnt", "net", "pid", "ipc", "uts")
_PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount"}
_COVERED = ("/run", "/var/lib", "/var/log", "/sys", "/proc")
# CAP_NET_ADMIN and CAP_SYS_ADMIN, as bits of CapEff.
_CAPABILITIES = {"NET_ADMIN": 12, "SYS_ADMIN": 21}
_ELSE = "or use another cluster: CLUSTER=kind with a container engine, CLUSTER=current for the one kubectl talks to"


@dataclass(frozen=True)
class NodeMachine:
    """The relevant properties of the machine; sizes in GiB."""

    user_id: int
    capabilities: int
    free_disk: float
    memory: float
    cache: Path
    built: bool
    missing_programs: tuple[str, ...] = ()
    missing_namespaces: tuple[str, ...] = ()


def look(cache: Path, *, built: bool) -> NodeMachine:
    """Read the properties; if the node's programs are `built`, less disk space is required."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return NodeMachine(
        user_id=os.geteuid(),
        capabilities=int(status["CapEff"].strip(), 16),
        free_disk=shutil.disk_usage(_existing(cache)).free / _GIB,
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB,
        cache=cache,
        built=built,
        missing_programs=tuple(name for name in _PROGRAMS if shutil.which(name) is None),
        missing_namespaces=tuple(name for name in _NAMESPACES if not Path(f"/proc/self/ns/{name}").exists()),
    )


def findings(machine: NodeMachine) -> list[str]:
    """Return the missing requirements, each with its solution; empty if the machine is suitable."""
    problems = [*lacking_rights(machine), *_space(machine)]
    problems.extend(
        f"the program {name} is missing: install the package {_PROGRAMS[name]}" for name in machine.missing_programs
    )
    if machine.missing_namespaces:
        names = ", ".join(machine.missing_namespaces)
        problems.append(f"the kernel lacks namespaces ({names}): use a kernel that has them, {_ELSE}")
    return problems


def require(problems: list[str]) -> None:
    """Raise MachineError if there are findings."""
    if problems:
        raise MachineError("this machine cannot run a native node:\n" + "\n".join(f"  - {each}" for each in problems))


def lacking_rights(machine: NodeMachine) -> list[str]:
    """Return the missing permissions of the calling user; commands that use a running node require them too."""
    if machine.user_id != 0:
        return [f"root is required (user id is {machine.user_id}): run it with `sudo -E`, {_ELSE}"]
    lacking = [name for name, bit in _CAPABILITIES.items() if not machine.capabilities >> bit & 1]
    if lacking:
        return [f"root lacks the capability {' and '.join(lacking)}: run outside the container or grant it, {_ELSE}"]
    return []


def _space(machine: NodeMachine) -> list[str]:
    problems = []
    required = _RUN_DISK_GIB if machine.built else _BUILD_DISK_GIB
    if machine.free_disk < required:
        problems.append(
            f"{machine.cache} has {machine.free_disk:.1f} GiB free, but {required} GiB are required: "
            "free some, or set TRITON_OPERATOR_CACHE to a folder on a larger disk"
        )
    if machine.memory < _MEMORY_GIB:
        problems.append(f"{machine.memory:.1f} GiB of memory, but {_MEMORY_GIB} GiB are required: use a larger machine")
    covered = next((place for place in _COVERED if machine.cache.is_relative_to(place)), None)
    if covered:
        problems.append(
            f"the cache folder {machine.cache} is below {covered}, which the node mounts over: "
            "set TRITON_OPERATOR_CACHE to a folder elsewhere"
        )
    return problems


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


_OVERLAY = (
    'mkdir -p "$DRAFT/low" "$DRAFT/up" "$DRAFT/work" "$DRAFT/all" && '
    'mount -t overlay overlay -o "lowerdir=$DRAFT/low,upperdir=$DRAFT/up,workdir=$DRAFT/work" "$DRAFT/all"'
)
_NO_OVERLAY = (
    "overlay mounts do not work in the cache folder: load the kernel module overlay, "
    "or set TRITON_OPERATOR_CACHE to a folder on an ordinary disk file system"
)
# Each trial is a shell command and the meaning of its failure. All trials run in one shell in separate namespaces,
# which end with the shell.
_TRIALS = (
    ("mount -t tmpfs tmpfs /run", "mounting is not permitted (by a container or a security module)"),
    (_OVERLAY, _NO_OVERLAY),
    ("mount -t sysfs sysfs /sys", "a new /sys cannot be mounted (the container is unprivileged)"),
    ('"$TOOLS/ip" link set lo up', "the network of a new namespace cannot be set up"),
    ('"$TOOLS/ip" link add tv0 type veth peer name tv1', "virtual network links are missing: load the module veth"),
    ("echo 1 > /proc/sys/net/ipv4/ip_forward", "packet forwarding cannot be switched on in a new namespace"),
    ('"$TOOLS/nft" -f "$DRAFT/rules"', "the packet filter lacks a feature: load the modules nf_tables, nft_chain_nat"),
)
_RULES = """\
table ip trial {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain target { meta l4proto tcp dnat to 10.0.0.1:80; }
  chain nat { type nat hook prerouting priority dstnat; ct state new numgen random mod 2 vmap { 0 : jump target }; }
  chain local { type nat hook output priority -100; fib daddr type local return; }
  chain out { type nat hook postrouting priority srcnat; meta mark & 0x4000 == 0x4000 masquerade; }
  chain forward { type filter hook forward priority filter; ct state established,related accept; }
}
"""


def try_kernel(cache: Path, tools: Path) -> list[str]:
    """Try each kernel feature that the node uses in temporary namespaces; return findings like `findings`."""
    draft = cache / "trial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    (draft / "rules").write_text(_RULES)
    try:
        return [sentence for sentence in _run_trials(draft, tools) if sentence]
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run_trials(draft: Path, tools: Path) -> list[str]:
    script = "\n".join(f"({command}) || exit {10 + number}" for number, (command, _) in enumerate(_TRIALS))
    result = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", script],
        env={**os.environ, "DRAFT": str(draft), "TOOLS": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    return [finding_of_trial(result.returncode, result.stderr.strip())]


def finding_of_trial(code: int, output: str) -> str:
    """Return the finding for the trials' exit code; empty for 0."""
    if code == 0:
        return ""
    detail = f" ({output.splitlines()[0]})" if output else ""
    number = code - 10
    if 0 <= number < len(_TRIALS):
        return f"{_TRIALS[number][1]}{detail}; {_ELSE}"
    return f"new namespaces cannot be made{detail}; {_ELSE}"
