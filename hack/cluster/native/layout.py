"""Where the native node keeps its files and what its addresses are; pure.

Input: the cache folder. Output: paths. Called by every module of this folder, on both sides of the namespaces: paths
below the cache are the same on both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster.commands import Endpoints

if TYPE_CHECKING:
    from pathlib import Path

NODE_NAME = "node"
NODE_ADDRESS = "10.99.0.1"
POD_SUBNET = "10.244.0.0/24"
DNS_CLUSTER_IP = "10.96.0.10"
API_PORT = 6443
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# Where pods find `Layout.share`, as a hostPath or a local PersistentVolume.
SHARE_IN_NODE = "/run/triton-operator/share"


@dataclass(frozen=True)
class Layout:
    """The node's folders below `root`.

    `images` (containerd's content and snapshots) outlives the node, so that a
    second start imports nothing; everything else is created again.
    """

    root: Path

    @property
    def images(self) -> Path:
        """What containerd stores: images and their unpacked layers."""
        return self.root / "containerd"

    @property
    def live(self) -> Path:
        """Everything that belongs to one life of the node."""
        return self.root / "live"

    @property
    def endpoints(self) -> Endpoints:
        """What the control plane's command lines need."""
        return Endpoints(
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
        """What the node sees as /var/lib: the kubelet's folder is in it."""
        return self.live / "var-lib"

    @property
    def var_log(self) -> Path:
        """What the node sees as /var/log: the pods' logs are in it."""
        return self.live / "var-log"

    @property
    def share(self) -> Path:
        """A folder that pods can mount from SHARE_IN_NODE."""
        return self.live / "share"

    @property
    def logs(self) -> Path:
        """One log file for each component."""
        return self.root / "logs"

    @property
    def run_record(self) -> Path:
        """Which process the node is, and how far its start came."""
        return self.live / "run.json"

    @property
    def status_record(self) -> Path:
        """What the supervisor says about each component."""
        return self.live / "status.json"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig for use on the machine."""
        return self.live / "kubeconfig"

    @property
    def cgroup(self) -> str:
        """The control group all pods are in; the cache folder decides its name, so two caches can have a node each."""
        return f"/triton-operator-{hashlib.sha256(str(self.root).encode()).hexdigest()[:8]}"
