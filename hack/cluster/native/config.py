"""Generate the configuration files of the node's programs; pure.

Input: the layout and the folder of programs. Output: file names and contents. `start` calls it once per start.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hack.cluster.commands import POD_CIDR
from hack.cluster.native.layout import CONTAINERD_SOCKET, DNS_CLUSTER_IP, NODE_NAME, POD_SUBNET

if TYPE_CHECKING:
    from pathlib import Path

    from hack.cluster.native.layout import Layout

_UNUSED_PLUGINS = (
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.differ.v1.erofs",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
)


def config_files(layout: Layout, programs: Path, pause_image: str) -> dict[str, str]:
    """Return the content of each file of `layout.config` by its relative path."""
    return {
        "kubelet.json": json.dumps(_kubelet(layout), indent=2),
        "kube-proxy.json": json.dumps(_kube_proxy(layout), indent=2),
        "containerd.toml": _containerd(layout, programs, pause_image),
        "cni/10-ptp.conflist": json.dumps(_pod_network(), indent=2),
        # The node resolves no outside names, so pods that use the node's DNS configuration get an empty list.
        "resolv.conf": "",
    }


def _kubelet(layout: Layout) -> dict[str, Any]:
    pki = layout.endpoints.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": layout.cgroup,
        "failCgroupV1": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_CLUSTER_IP],
        "resolvConf": str(layout.config / "resolv.conf"),
        "maxPods": 110,
        # Images are imported from archives. An image that the kubelet collected could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
        "nodeStatusReportFrequency": "1m",
        "syncFrequency": "10s",
        "serializeImagePulls": False,
        "makeIPTablesUtilChains": False,
        "failSwapOn": False,
        "shutdownGracePeriod": "0s",
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(layout.endpoints.pki / "kube-proxy.kubeconfig")},
        "clusterCIDR": POD_CIDR,
        "detectLocalMode": "ClusterCIDR",
        "hostnameOverride": NODE_NAME,
        # The limits of the connection table belong to the machine; the node does not change them.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms"},
    }


def _pod_network() -> dict[str, Any]:
    """Return the configuration of the pod network, in which each pod has its own point-to-point link.

    The node routes all traffic between pods, so kube-proxy and the policy enforcer process it. A bridge would require
    the kernel module br_netfilter for this, which is often not loaded.
    """
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": POD_SUBNET}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni/addresses",
                },
            }
        ],
    }


def _containerd(layout: Layout, programs: Path, pause_image: str) -> str:
    """Return containerd's configuration in format version 2.

    Without restrict_oom_score_adj, no sandbox starts if root lacks CAP_SYS_RESOURCE, as in many virtual machines.
    """
    return f"""version = 3
root = {json.dumps(str(layout.images))}
state = "/run/containerd"
disabled_plugins = {json.dumps(list(_UNUSED_PLUGINS))}

[grpc]
  address = {json.dumps(CONTAINERD_SOCKET)}

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = {json.dumps(pause_image)}

[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = {json.dumps(str(programs / "runc"))}
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [{json.dumps(str(programs))}]
    conf_dir = {json.dumps(str(layout.config / "cni"))}
"""
