"""Set up the node's mounts, control groups and network.

Input: the layout, inside new mount, network and process namespaces. Output: none. The kernel removes everything
together with the namespaces, except the folders of the control group, which `remove_control_groups` removes. The
supervisor calls `isolate` first.
"""

from __future__ import annotations

import errno
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.commands import SERVICE_CIDR
from hack.cluster.native.layout import NODE_ADDRESS, SHARE_IN_NODE
from hack.failures import LocalClusterError

if TYPE_CHECKING:
    from hack.cluster.native.layout import Layout

_CGROUPS = Path("/sys/fs/cgroup")
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Hierarchy:
    """A control-group hierarchy: the only one of cgroup v2, or one of cgroup v1 with its controllers."""

    controllers: str
    unified: bool = False

    @property
    def mount_point(self) -> Path:
        """The mount point inside the node."""
        return _CGROUPS if self.unified else _CGROUPS / self.controllers.removeprefix("name=")

    @property
    def mount_words(self) -> list[str]:
        """Arguments of `mount`."""
        if self.unified:
            return ["-t", "cgroup2", "cgroup2", str(self.mount_point)]
        option = f"none,{self.controllers}" if self.controllers.startswith("name=") else self.controllers
        return ["-t", "cgroup", "-o", option, "cgroup", str(self.mount_point)]


def hierarchies(proc_self_cgroup: str) -> list[Hierarchy]:
    """Parse the machine's hierarchies from the text of /proc/self/cgroup.

    A line is `id:controllers:path`. Version 2 has ID 0 and no controllers. If both versions are mounted, version 1 has
    the controllers, so version 2 is omitted.
    """
    names = [line.split(":", 2)[1] for line in proc_self_cgroup.splitlines()]
    first_version = [Hierarchy(name) for name in names if name]
    return first_version or [Hierarchy("", unified=True)]


def isolate(layout: Layout, ip: Path) -> None:
    """Set up everything inside the namespaces; raises subprocess.CalledProcessError with the command that failed."""
    mounted = hierarchies(Path("/proc/self/cgroup").read_text())
    _run("mount", "--make-rshared", "/")
    _cover_folders(layout)
    _mount_control_groups(mounted)
    for hierarchy in mounted:
        _make_parent_group(hierarchy, layout.cgroup)
    _set_up_network(ip)


def _cover_folders(layout: Layout) -> None:
    """Mount the node's own folders over fixed paths of the programs, so that they write only to the cache."""
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _run("mount", "--bind", str(layout.var_lib), "/var/lib")
    _run("mount", "--bind", str(layout.var_log), "/var/log")
    Path(SHARE_IN_NODE).mkdir(parents=True)
    _run("mount", "--bind", str(layout.share), SHARE_IN_NODE)


def _mount_control_groups(mounted: list[Hierarchy]) -> None:
    """Mount a new /sys, which shows the node's network devices, and mount the control groups in it again."""
    _run("mount", "-t", "sysfs", "sysfs", "/sys")
    if not all(hierarchy.unified for hierarchy in mounted):
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(_CGROUPS))
    for hierarchy in mounted:
        hierarchy.mount_point.mkdir(exist_ok=True)
        _run("mount", *hierarchy.mount_words)


def _make_parent_group(hierarchy: Hierarchy, group: str) -> None:
    parent = hierarchy.mount_point / group.lstrip("/")
    parent.mkdir(exist_ok=True)
    if hierarchy.unified:
        _delegate_controllers(hierarchy.mount_point)
        _delegate_controllers(parent)
    elif "cpuset" in hierarchy.controllers:
        # A new group of version 1 has no CPUs and no memory nodes, so no process could run in it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            (parent / name).write_text((hierarchy.mount_point / name).read_text())


def _delegate_controllers(folder: Path) -> None:
    controllers = [f"+{name}" for name in (folder / "cgroup.controllers").read_text().split()]
    (folder / "cgroup.subtree_control").write_text(" ".join(controllers))


def _set_up_network(ip: Path) -> None:
    """Configure the node's address and a route to Services.

    Without a route, packets from the node fail before kube-proxy's rules can replace the destination by a pod's
    address. There is no default route, so no packets leave the node.
    """
    _run(str(ip), "link", "set", "lo", "up")
    _run(str(ip), "address", "add", f"{NODE_ADDRESS}/32", "dev", "lo")
    _run(str(ip), "route", "add", SERVICE_CIDR, "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def remove_control_groups(group: str) -> None:
    """Remove the node's control groups, if any, from every hierarchy of the machine; nested groups first."""
    for top in _mounted_hierarchies(Path("/proc/mounts").read_text()):
        parent = top / group.lstrip("/")
        if not parent.is_dir():
            continue
        folders = sorted((path for path in parent.rglob("*") if path.is_dir()), reverse=True)
        for folder in [*folders, parent]:
            _remove_when_empty(folder)


def _remove_when_empty(group: Path) -> None:
    """Remove a control group; after its processes were killed, the kernel keeps it busy for a short time."""
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
