"""A host outside the native node, with an address to which the node routes.

Input: the node. Output: a private network with one host that answers like the pods of `tests.network_attempts`, and
sockets of this process that listen there. The kernel removes the network with the process.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hack.cluster import tools
from hack.cluster.native.node import NativeCluster
from tests.network_attempts import ANSWER

ADDRESS, GATEWAY = "192.0.2.1", "192.0.2.254"
_SECONDS = 10
_CLONE_NEWNET = 0x40000000


class OutsideHost(NamedTuple):
    """The host's address, and a process in its network."""

    address: str
    process: int

    def listen(self, port: int) -> socket.socket:
        """A socket of this process that listens at the host's address."""
        with ThreadPoolExecutor(1) as thread:  # The network of a thread cannot be left again without its file.
            return thread.submit(self._listen, port).result()

    def _listen(self, port: int) -> socket.socket:
        network = os.open(f"/proc/{self.process}/ns/net", os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)  # os.setns() needs Python 3.12.
            if libc.setns(network, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            return socket.create_server((self.address, port))
        finally:
            os.close(network)


@contextmanager
def outside_host(node: NativeCluster) -> Iterator[OutsideHost]:
    """Yield the host while the block runs."""
    own = Path("/proc/self/ns/net").readlink()
    process = subprocess.Popen(["unshare", "--net", sys.executable, "-c", ANSWER])
    try:
        deadline = time.monotonic() + _SECONDS
        while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
            assert time.monotonic() < deadline, "no private network"
            time.sleep(0.01)
        _on_node(node, "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
        _in_network(process.pid, "address", "add", f"{ADDRESS}/24", "dev", "eth0")
        _in_network(process.pid, "link", "set", "eth0", "up")
        _in_network(process.pid, "route", "add", "default", "via", GATEWAY)
        _on_node(node, "address", "add", f"{GATEWAY}/24", "dev", "outside")
        _on_node(node, "link", "set", "outside", "up")
        yield OutsideHost(ADDRESS, process.pid)
    finally:
        process.kill()
        process.wait()


def link_address(node: NativeCluster, pod_address: str) -> str:
    """The IPv6 address of the node on its link to a pod."""
    (route,) = json.loads(_on_node(node, "route", "show", pod_address))
    (link,) = json.loads(_on_node(node, "-6", "address", "show", "dev", route["dev"], "scope", "link"))
    addresses: list[dict[str, Any]] = link["addr_info"]
    return str(addresses[0]["local"])


def _on_node(node: NativeCluster, *arguments: str) -> str:
    return _in_network(node.record.supervisor, *arguments)


def _in_network(process: int, *arguments: str) -> str:
    command = ["nsenter", "--target", str(process), "--net", str(tools("ip") / "ip"), "-json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
