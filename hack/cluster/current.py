"""Use the cluster of kubectl's current context.

Input: the user's kubeconfig. Output: a `CurrentCluster`. It is used only if it is requested explicitly, so that an
existing cluster is never changed by accident.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_dir, give_to_invoker
from hack.cluster.handle import kubectl_command, kubectl_output, port_forwarded
from hack.failures import LocalClusterError
from hack.programs.catalogue import tools
from hack.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hack.cluster.image import LoadableImage


@dataclass(frozen=True)
class CurrentCluster:
    """An existing cluster; `kubeconfig` is a copy that contains only its context."""

    kubeconfig: Path
    kind: str = "current"
    host_path: Path | None = None
    node_path: str = ""

    def load_images(self, images: Iterable[LoadableImage]) -> None:
        """Print the images that the cluster must be able to pull, because they cannot be loaded onto its nodes."""
        for image in images:
            say(f"the cluster must be able to pull {image.reference}: push {image.archive} to its registry")

    @contextmanager
    def reach(self, namespace: str, service: str, port: int | str) -> Iterator[str]:
        """Yield "127.0.0.1:PORT" of a port-forward to one of the Service's pods."""
        log = cache_dir() / "current" / "port-forward.log"
        with port_forwarded(_kubectl(self.kubeconfig), namespace, service, port, log) as address:
            yield address


def up() -> CurrentCluster:
    """Return the current context's cluster; raises LocalClusterError without a context or if it does not respond."""
    folder = cache_dir() / "current"
    folder.mkdir(exist_ok=True)
    kubectl = [str(tools("kubectl") / "kubectl"), f"--cache-dir={folder}"]
    context = kubectl_output(kubectl, "config", "current-context").strip()
    say(f"using the context {context}")
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(kubectl_output(kubectl, "config", "view", "--minify", "--flatten", "--raw"))
    give_to_invoker(path)
    kubectl_output(_kubectl(path), "version", "--request-timeout=10s")
    return CurrentCluster(path)


def down() -> None:
    """Raise LocalClusterError, because this tool did not start the cluster."""
    context = os.environ.get("KUBECONFIG", "~/.kube/config")
    msg = f"the current context ({context}) was not started from here: take it down with what started it"
    raise LocalClusterError(msg)


def _kubectl(kubeconfig: Path) -> list[str]:
    return kubectl_command(tools("kubectl"), kubeconfig)
