"""Start, use and stop the native node.

Input: calls from `hack.cluster`. Output: a `NativeCluster`, which loads images and connects to Services.
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
from hack.cluster.handle import kubectl_command, kubectl_output
from hack.cluster.native import preflight, record
from hack.cluster.native.images import import_images, stored
from hack.cluster.native.layout import SHARE_IN_NODE, Layout
from hack.cluster.native.stop import clear, node_processes, stop
from hack.failures import LocalClusterError
from hack.programs.catalogue import are_built, tools
from hack.progress import say, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hack.cluster.image import LoadableImage
    from hack.cluster.native.record import RunRecord

_REPOSITORY = Path(__file__).resolve().parents[3]
_LOCK = "native-node"


def layout() -> Layout:
    """Return the layout of the node's files."""
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
        """The folder that is mounted at `node_path` in the node; its content is deleted with the node."""
        return self.layout.share

    @property
    def node_path(self) -> str:
        """The path of `host_path` in the node."""
        return SHARE_IN_NODE

    @property
    def programs(self) -> Path:
        """The folder of programs that the node was started with."""
        return Path(self.record.programs)

    def load_images(self, images: Iterable[LoadableImage]) -> None:
        """Import the missing images; each can then be used by tag, by digest and as `latest`."""
        _require_root("importing images")
        import_images(self.record.supervisor, self.programs, images)

    def images(self) -> dict[str, str]:
        """Return the digest of every image by each of its references."""
        _require_root("listing images")
        return stored(self.record.supervisor, self.programs)

    @contextmanager
    def reach(self, namespace: str, service: str, port: int | str) -> Iterator[str]:
        """Yield "127.0.0.1:PORT" of a forwarder to the Service's cluster IP inside the node.

        kube-proxy balances each connection like those of a pod. The forwarder is stopped at the end of the block.
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
    """Parse "address:port" from `<clusterIP> <name>=<port> …`; raises LocalClusterError for an unknown port."""
    address, *pairs = text.split(" ")
    ports = dict(pair.split("=") for pair in pairs)
    if address in {"", "None"}:
        msg = f"Service {name} has no cluster address (it is headless), so it can only be reached from pods"
        raise LocalClusterError(msg)
    number = ports.get(str(port), str(port))
    if number not in ports.values():
        msg = f"Service {name} has no port {port}; it has {', '.join(pairs)}"
        raise LocalClusterError(msg)
    return f"{address}:{number}"


def up() -> NativeCluster:
    """Return the running node; start it if it is not running, or complete an interrupted start.

    Raises MachineError before anything is changed if the machine does not meet the requirements.
    """
    paths = layout()
    run = record.running(paths)
    if run is not None and run.complete and not _stopped_components(paths):
        return NativeCluster(paths, run)
    preflight.require(preflight.findings(preflight.look(cache_dir(), built=are_built())))
    with locked(_LOCK):
        return _start(paths)


def running() -> NativeCluster | None:
    """Return the running node, even if its start is incomplete; None if there is none."""
    run = record.running(layout())
    return NativeCluster(layout(), run) if run else None


def down() -> None:
    """Stop the node, if it is running, and remove everything except imported images and logs."""
    paths = layout()
    if not node_processes(paths) and not paths.live.exists():
        say("no native node is running")
        return
    _require_root("taking the node down")
    with locked(_LOCK), step("stop the node"):
        stop(paths)
        clear(paths)


def status() -> dict[str, dict[str, Any]]:
    """Return the state of each component (running, ready, restarts, lastExit); empty if no node is running."""
    paths = layout()
    return record.component_states(paths) if record.running(paths) else {}


def _start(paths: Layout) -> NativeCluster:
    # Imported late: they need packages that are not installed yet when the preflight runs.
    from hack.cluster.native.start import start
    from hack.images import build

    programs = tools()
    pause, dns = build("pause", "coredns")
    run = start(paths, programs, pause, dns)
    return NativeCluster(paths, run)


def _stopped_components(paths: Layout) -> list[str]:
    return [name for name, state in record.component_states(paths).items() if not state["running"]]


def _require_root(action: str) -> None:
    if os.geteuid() != 0:
        msg = f"{action} needs root on the native node: run it with `sudo -E`"
        raise LocalClusterError(msg)
