"""Offer devices that do not exist on the native node, such as GPUs.

Input: the running node, and the number of devices of each resource. Output: a node with these devices, until the block
ends. The node's kubelet treats them like real ones: it assigns each device to one container, and rejects further pods.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.handle import kubectl_command, kubectl_output
from hack.cluster.native.layout import NODE_NAME
from hack.cluster.process import ChildProcess
from hack.failures import LocalClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hack.cluster.native.node import NativeCluster

_REPOSITORY = Path(__file__).resolve().parents[3]
_SOCKETS = "/var/lib/kubelet/device-plugins"
_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def offered(node: NativeCluster, counts: Mapping[str, int]) -> Iterator[None]:
    """Offer `counts` devices, such as {"nvidia.com/gpu": 2}, while the block runs. Delete their pods in the block.

    The plugin runs in the node's mount namespace, because the kubelet's folder is there. Raises StartError with the end
    of the plugin's log, or LocalClusterError.
    """
    inside = ["nsenter", "--target", str(node.record.supervisor), "--mount", "--"]
    plugin = [sys.executable, "-m", "hack.cluster.native.device_plugin", _SOCKETS]
    devices = [f"{resource}={count}" for resource, count in counts.items()]
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    child = ChildProcess([*inside, *plugin, *devices], node.layout.logs / "device-plugin.log", environment)
    try:
        child.await_ready(lambda: _are_allocatable(node, counts), _SECONDS)
        yield
    finally:
        child.stop()
        _await_withdrawal(node, counts)


def _await_withdrawal(node: NativeCluster, counts: Mapping[str, int]) -> None:
    none = dict.fromkeys(counts, 0)
    deadline = time.monotonic() + _SECONDS
    while not _are_allocatable(node, none):
        if time.monotonic() > deadline:
            raise LocalClusterError(f"the node still offers {', '.join(counts)}, although the device plugin has ended")
        time.sleep(_POLL_SECONDS)


def _are_allocatable(node: NativeCluster, counts: Mapping[str, int]) -> bool:
    kubectl = kubectl_command(node.programs, node.kubeconfig)
    found = json.loads(kubectl_output(kubectl, "get", "node", NODE_NAME, "-o", "jsonpath={.status.allocatable}"))
    return all(int(found.get(resource, "0")) == count for resource, count in counts.items())
