"""The native node as a cluster: up, down, and what one does with it in between.

Input: commands from `hack.cluster`. Output: a `NativeCluster`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.cache import cache_dir, cache_place, locked
from hack.cluster.failures import LocalClusterError
from hack.cluster.handle import kubectl_command, kubectl_output
from hack.cluster.native import preflight, record
from hack.cluster.native.images import import_images, stored
from hack.cluster.native.layout import SHARE_IN_NODE, Layout
from hack.cluster.native.stop import clear, node_processes, stop
from hack.cluster.programs import are_built, tools
from hack.progress import say, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hack.cluster.image import Image
    from hack.cluster.native.record import RunRecord

_REPOSITORY = Path(__file__).resolve().parents[3]
_LOCK = "native-node"


def layout() -> Layout:
    """Return where the node's files are."""
    return Layout(cache_place() / "node")


@dataclass(frozen=True)
class NativeCluster:
    """A running native node."""

    layout: Layout
    record: RunRecord
    kind: str = "native"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig, for use on this machine."""
        return self.layout.kubeconfig

    @property
    def host_path(self) -> Path | None:
        """A folder that the node sees at `node_path`; it is emptied when the node goes down."""
        return self.layout.share

    @property
    def node_path(self) -> str:
        """Where the node sees `host_path`."""
        return SHARE_IN_NODE

    @property
    def programs(self) -> Path:
        """The programs the node was started with."""
        return Path(self.record.programs)

    def load_images(self, images: Iterable[Image]) -> None:
        """Import the images that are missing, each under its tag and its digest."""
        _require_root("importing images")
        import_images(self.record.supervisor, self.programs, images)

    def images(self) -> dict[str, str]:
        """Return the digest of every image by each of its references."""
        _require_root("listing images")
        return stored(self.record.supervisor, self.programs)

    @contextmanager
    def reach(self, namespace: str, service: str, port: int | str) -> Iterator[str]:
        """Yield "127.0.0.1:PORT" that leads to the Service's own address inside the node.

        Each connection is balanced by kube-proxy as a pod's would be. Ends the forwarder with the block.
        """
        _require_root("reaching a Service")
        target = self._service_address(namespace, service, port)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            forwarder = self._forward(listener, target)
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield address
        finally:
            forwarder.terminate()
            forwarder.wait()

    def _service_address(self, namespace: str, service: str, port: int | str) -> str:
        query = "jsonpath={.spec.clusterIP}{range .spec.ports[*]} {.name}={.port}{end}"
        kubectl = kubectl_command(self.programs, self.kubeconfig)
        text = kubectl_output(kubectl, "get", "service", service, "--namespace", namespace, "-o", query)
        return service_address(text, f"{namespace}/{service}", port)

    def _forward(self, listener: socket.socket, target: str) -> subprocess.Popen[bytes]:
        inside = ["nsenter", "--target", str(self.record.supervisor), "--net", "--"]
        module = ["-m", "hack.cluster.native.forwarder", str(listener.fileno()), target]
        return subprocess.Popen(
            [*inside, sys.executable, *module],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            pass_fds=(listener.fileno(),),
        )


def service_address(text: str, name: str, port: int | str) -> str:
    """Return "address:port" from `<clusterIP> <name>=<port> …`; raises LocalClusterError for an unknown port."""
    address, *pairs = text.split(" ")
    ports = dict(pair.split("=") for pair in pairs)
    if address in {"", "None"}:
        msg = f"Service {name} has no cluster address (it is headless), so it can only be reached from pods"
        raise LocalClusterError(msg)
    found = ports.get(str(port), str(port))
    if found not in ports.values():
        msg = f"Service {name} has no port {port}; it has {', '.join(pairs)}"
        raise LocalClusterError(msg)
    return f"{address}:{found}"


def up() -> NativeCluster:
    """Return the running node, starting it when it does not run or was half started.

    Raises MachineError before anything is changed where the machine will not do.
    """
    place = layout()
    found = record.running(place)
    if found is not None and found.complete and not _troubles(place):
        return NativeCluster(place, found)
    preflight.require(preflight.findings(preflight.look(cache_dir(), built=are_built())))
    with locked(_LOCK):
        return _start(place)


def running() -> NativeCluster | None:
    """Return the node when one runs, complete or not."""
    found = record.running(layout())
    return NativeCluster(layout(), found) if found else None


def down() -> None:
    """End the node and leave nothing of it but imported images and logs; nothing happens when none runs."""
    place = layout()
    if not node_processes(place) and not place.live.exists():
        say("no native node is running")
        return
    _require_root("taking the node down")
    with locked(_LOCK), step("stop the node"):
        stop(place)
        clear(place)


def status() -> dict[str, dict[str, Any]]:
    """Return what is known of each component: running, ready, restarts, lastExit; empty when no node runs."""
    place = layout()
    return record.component_states(place) if record.running(place) else {}


def _start(place: Layout) -> NativeCluster:
    # Imported late: the images are built by programs that this package provides, and a start needs packages that
    # are not there yet when the preflight runs.
    from hack.cluster.native.start import start
    from hack.images import build

    programs = tools()
    pause, dns = build("pause", "coredns")
    found = start(place, programs, pause, dns)
    return NativeCluster(place, found)


def _troubles(place: Layout) -> list[str]:
    return [name for name, state in record.component_states(place).items() if not state["running"]]


def _require_root(action: str) -> None:
    if os.geteuid() != 0:
        msg = f"{action} needs root on the native node: call it with `sudo -E`"
        raise LocalClusterError(msg)
