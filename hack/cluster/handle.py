"""The interface of a cluster, which is independent of its kind.

The demo, the e2e tests and the command line of `hack.cluster` use it; the three kinds implement `RunningCluster`.
"""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from hack.cache import cache_dir
from hack.failures import LocalClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hack.cluster.image import LoadableImage

_FORWARD_SECONDS = 30.0
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class RunningCluster(Protocol):
    """A running cluster."""

    @property
    def kind(self) -> str:
        """Its kind: native, kind or current."""

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig, for use on this machine."""

    @property
    def host_path(self) -> Path | None:
        """A folder of this machine that is mounted at `node_path` in the node; None if there is none."""

    @property
    def node_path(self) -> str:
        """The path of `host_path` in the node, for a PersistentVolume of type hostPath or local."""

    def load_images(self, images: Iterable[LoadableImage]) -> None:
        """Make the images available to pods, by tag, as `latest`, and on the native node by digest."""

    def reach(self, namespace: str, service: str, port: int | str) -> AbstractContextManager[str]:
        """Yield "127.0.0.1:PORT", which leads to the Service's port (number or name) while the block runs."""


def kubectl_command(programs: Path, kubeconfig: Path) -> list[str]:
    """The start of a kubectl command line; its discovery cache is in the cache folder instead of ~/.kube.

    Modules that `hack.preflight` imports cannot use the SDK, because the system's Python lacks its packages.
    """
    remembered = cache_dir() / "kubectl"
    return [str(programs / "kubectl"), f"--kubeconfig={kubeconfig}", f"--cache-dir={remembered}"]


def kubectl_output(kubectl: list[str], *arguments: str) -> str:
    """Run kubectl and return its output; raises LocalClusterError with its error message."""
    result = subprocess.run([*kubectl, *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        msg = f"`kubectl {' '.join(arguments[:4])}` failed: {result.stderr.strip()}"
        raise LocalClusterError(msg)
    return result.stdout


@contextmanager
def port_forwarded(kubectl: list[str], namespace: str, service: str, port: int | str, log: Path) -> Iterator[str]:
    """Yield "127.0.0.1:PORT" of a `kubectl port-forward` to the Service, which forwards to a single pod."""
    command = [*kubectl, "port-forward", "--namespace", namespace, f"service/{service}", f":{port}"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield f"127.0.0.1:{_forwarded_port(process, log)}"
    finally:
        process.terminate()
        process.wait()


def _forwarded_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _FORWARD_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        match = _FORWARDING.search(log.read_text())
        if match:
            return int(match[1])
        time.sleep(0.05)
    msg = f"`kubectl port-forward` did not begin: {log.read_text().strip()}"
    raise LocalClusterError(msg)
