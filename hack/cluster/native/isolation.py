"""Make the node's own view of the machine: mounts, control groups, network.

Input: the layout, inside fresh mount, network and process namespaces. Output: nothing to undo, because the namespaces
take all of it with them; only the control group's folders are the machine's (`remove_control_groups`). Called by the
supervisor, first of all.
"""

from __future__ import annotations

import errno
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.commands import SERVICE_CIDR
from hack.cluster.failures import LocalClusterError
from hack.cluster.native.layout import NODE_ADDRESS, SHARE_IN_NODE

if TYPE_CHECKING:
    from hack.cluster.native.layout import Layout

_CGROUPS = Path("/sys/fs/cgroup")
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Hierarchy:
    """One control-group hierarchy: cgroup v2's single one, or one of version 1's with its controllers."""

    controllers: str
    unified: bool = False

    @property
    def place(self) -> Path:
        """Where it is mounted inside the node."""
        return _CGROUPS if self.unified else _CGROUPS / self.controllers.removeprefix("name=")

    @property
    def mount_words(self) -> list[str]:
        """Arguments of `mount`."""
        if self.unified:
            return ["-t", "cgroup2", "cgroup2", str(self.place)]
        option = f"none,{self.controllers}" if self.controllers.startswith("name=") else self.controllers
        return ["-t", "cgroup", "-o", option, "cgroup", str(self.place)]


def hierarchies(proc_self_cgroup: str) -> list[Hierarchy]:
    """Read which hierarchies the machine has, from the text of /proc/self/cgroup.

    A line is `id:controllers:path`; version 2 has id 0 and no controllers. Where
    both versions are there, version 1 has the controllers and version 2 is left out.
    """
    names = [line.split(":", 2)[1] for line in proc_self_cgroup.splitlines()]
    first_version = [Hierarchy(name) for name in names if name]
    return first_version or [Hierarchy("", unified=True)]


def isolate(layout: Layout, ip: Path) -> None:
    """Set up everything inside the namespaces; raises subprocess.CalledProcessError naming the command that failed."""
    found = hierarchies(Path("/proc/self/cgroup").read_text())
    _run("mount", "--make-rshared", "/")
    _cover_folders(layout)
    _mount_control_groups(found)
    for hierarchy in found:
        _make_parent_group(hierarchy, layout.cgroup)
    _set_up_network(ip)


def _cover_folders(layout: Layout) -> None:
    """Put folders of our own over those that programs insist on, so that nothing is written outside the cache."""
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _run("mount", "--bind", str(layout.var_lib), "/var/lib")
    _run("mount", "--bind", str(layout.var_log), "/var/log")
    Path(SHARE_IN_NODE).mkdir(parents=True)
    _run("mount", "--bind", str(layout.share), SHARE_IN_NODE)


def _mount_control_groups(found: list[Hierarchy]) -> None:
    """Mount /sys again, which shows the node's network devices; that hides the control groups, so these again."""
    _run("mount", "-t", "sysfs", "sysfs", "/sys")
    if not all(hierarchy.unified for hierarchy in found):
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(_CGROUPS))
    for hierarchy in found:
        hierarchy.place.mkdir(exist_ok=True)
        _run("mount", *hierarchy.mount_words)


def _make_parent_group(hierarchy: Hierarchy, group: str) -> None:
    parent = hierarchy.place / group.lstrip("/")
    parent.mkdir(exist_ok=True)
    if hierarchy.unified:
        _delegate_controllers(hierarchy.place)
        _delegate_controllers(parent)
    elif "cpuset" in hierarchy.controllers:
        # Version 1 starts a new group with no CPUs and no memory nodes: nothing could run in it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            (parent / name).write_text((hierarchy.place / name).read_text())


def _delegate_controllers(folder: Path) -> None:
    wanted = [f"+{name}" for name in (folder / "cgroup.controllers").read_text().split()]
    (folder / "cgroup.subtree_control").write_text(" ".join(wanted))


def _set_up_network(ip: Path) -> None:
    """Give the node its address, and a route to Services.

    Without any route to them, packets made on the node fail before kube-proxy's
    rules can give them a pod's address. There is no default route: nothing leaves.
    """
    _run(str(ip), "link", "set", "lo", "up")
    _run(str(ip), "address", "add", f"{NODE_ADDRESS}/32", "dev", "lo")
    _run(str(ip), "route", "add", SERVICE_CIDR, "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def remove_control_groups(group: str) -> None:
    """Remove the node's control groups from every hierarchy of the machine, innermost first; none need be there."""
    for top in _mounted_hierarchies(Path("/proc/mounts").read_text()):
        parent = top / group.lstrip("/")
        if not parent.is_dir():
            continue
        folders = sorted((path for path in parent.rglob("*") if path.is_dir()), reverse=True)
        for folder in [*folders, parent]:
            _remove_when_empty(folder)


def _remove_when_empty(group: Path) -> None:
    """Remove a control group; a process that was just killed keeps it busy until the kernel is done with it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise LocalClusterError(f"the control group {group} cannot be removed: {error.strerror}") from error
            time.sleep(_POLL_SECONDS)
        else:
            return


def _mounted_hierarchies(proc_mounts: str) -> list[Path]:
    rows = [line.split() for line in proc_mounts.splitlines()]
    return [Path(row[1]) for row in rows if row[2] in {"cgroup", "cgroup2"}]


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
