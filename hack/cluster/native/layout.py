"""The paths of the native node's files, and its addresses; pure.

Input: the cache folder. Output: paths. All modules of this package use it, inside and outside the namespaces, because
paths below the cache are the same on both sides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster.commands import ControlPlaneEndpoints

if TYPE_CHECKING:
    from pathlib import Path

NODE_NAME = "node"
NODE_ADDRESS = "10.99.0.1"
POD_SUBNET = "10.244.0.0/24"
DNS_CLUSTER_IP = "10.96.0.10"
API_PORT = 6443
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# The path in the node at which `Layout.share` is mounted, for a hostPath or local PersistentVolume.
SHARE_IN_NODE = "/run/triton-operator/share"


@dataclass(frozen=True)
class Layout:
    """The node's folders below `root`.

    `images` (containerd's content and snapshots) remains when the node stops, so that the next start imports nothing.
    Everything else is created by each start.
    """

    root: Path

    @property
    def images(self) -> Path:
        """The storage of containerd: images and their unpacked layers."""
        return self.root / "containerd"

    @property
    def live(self) -> Path:
        """All files of one run of the node."""
        return self.root / "live"

    @property
    def endpoints(self) -> ControlPlaneEndpoints:
        """The endpoints that the control plane's command lines need."""
        return ControlPlaneEndpoints(
            pki=self.live / "pki",
            data=self.live / "data",
            address=NODE_ADDRESS,
            api_port=API_PORT,
            etcd_port=2379,
            etcd_peer_port=2380,
        )

    @property
    def config(self) -> Path:
        """Configuration files of kubelet, kube-proxy, containerd and the pod network."""
        return self.live / "config"

    @property
    def var_lib(self) -> Path:
        """The folder that is /var/lib in the node; it contains the kubelet's folder."""
        return self.live / "var-lib"

    @property
    def var_log(self) -> Path:
        """The folder that is /var/log in the node; it contains the pods' logs."""
        return self.live / "var-log"

    @property
    def share(self) -> Path:
        """The folder that pods can mount from SHARE_IN_NODE."""
        return self.live / "share"

    @property
    def logs(self) -> Path:
        """One log file for each component."""
        return self.root / "logs"

    @property
    def run_record(self) -> Path:
        """The file with the node's process and the state of its start."""
        return self.live / "run.json"

    @property
    def status_record(self) -> Path:
        """The file in which the supervisor reports the state of each component."""
        return self.live / "status.json"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig, for use on this machine."""
        return self.live / "kubeconfig"

    @property
    def cgroup(self) -> str:
        """The control group of all pods; its name depends on the cache folder, so that each cache can have a node."""
        return f"/triton-operator-{hashlib.sha256(str(self.root).encode()).hexdigest()[:8]}"
