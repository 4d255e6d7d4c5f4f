"""Create, use and delete a kind cluster, which requires a container engine.

Input: `kind-config.yaml`. Output: a `KindCluster`. The machine's kind program is used if there is one; otherwise kind
is built from its Go module.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.cache import cache_dir, give_to_invoker, locked
from hack.cluster.handle import kubectl_command, port_forwarded
from hack.cluster.native.images import latest
from hack.failures import LocalClusterError
from hack.programs.catalogue import tools
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hack.cluster.image import LoadableImage

CONFIG = Path(__file__).resolve().parents[2] / "kind-config.yaml"
NODE_PATH = "/triton-operator/share"
_ENGINES = ("docker", "podman", "nerdctl")
_ANSWER_SECONDS = 10


@dataclass(frozen=True)
class KindCluster:
    """A running kind cluster."""

    name: str
    kubeconfig: Path
    host_path: Path | None
    kind: str = "kind"
    node_path: str = NODE_PATH

    def load_images(self, images: Iterable[LoadableImage]) -> None:
        """Load the images that are missing from the node, by tag and as `latest`."""
        present = self._references()
        for image in images:
            if image.reference not in present:
                with step(f"load image {image.name}"):
                    _kind("load", "image-archive", str(image.archive), "--name", self.name)
            self._ctr("tag", "--force", image.reference, latest(image.reference))

    @contextmanager
    def reach(self, namespace: str, service: str, port: int | str) -> Iterator[str]:
        """Yield "127.0.0.1:PORT" of a port-forward to one of the Service's pods."""
        kubectl = kubectl_command(tools("kubectl"), self.kubeconfig)
        log = self.kubeconfig.parent / "port-forward.log"
        with port_forwarded(kubectl, namespace, service, port, log) as address:
            yield address

    def _references(self) -> set[str]:
        return set(self._ctr("list", "--quiet").split())

    def _ctr(self, *arguments: str) -> str:
        node = f"{self.name}-control-plane"
        return _run([_require_engine(), "exec", node, "ctr", "-n", "k8s.io", "images", *arguments])


def engine() -> str | None:
    """Return the name of a container engine that responds, or None."""
    return next((name for name in _ENGINES if _answers(name)), None)


def up() -> KindCluster:
    """Return the kind cluster of `kind-config.yaml`; create it if it does not exist."""
    folder = cache_dir() / "kind"
    share = folder / "share"
    share.mkdir(parents=True, exist_ok=True)
    config = with_share(_config(), share)
    cluster = KindCluster(config["name"], folder / "kubeconfig", share)
    with locked("kind"):
        if cluster.name not in _kind("get", "clusters").split():
            _create(cluster, config, folder / "config.yaml")
        _kind("export", "kubeconfig", "--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig))
    give_to_invoker(cluster.kubeconfig)
    return cluster


def running() -> KindCluster | None:
    """Return the kind cluster if it exists."""
    name = _config()["name"]
    return up() if name in _kind("get", "clusters").split() else None


def down() -> None:
    """Delete the kind cluster and its files, if it exists."""
    name = _config()["name"]
    folder = cache_dir() / "kind"
    with locked("kind"), step(f"delete the kind cluster {name}"):
        _kind("delete", "cluster", "--name", name, "--kubeconfig", str(folder / "kubeconfig"))
        shutil.rmtree(folder, ignore_errors=True)


def with_share(config: dict[str, Any], share: Path) -> dict[str, Any]:
    """Return the configuration with `share` mounted into every node at NODE_PATH."""
    mount = {"hostPath": str(share), "containerPath": NODE_PATH}
    nodes = [{**node, "extraMounts": [*node.get("extraMounts", []), mount]} for node in config["nodes"]]
    return {**config, "nodes": nodes}


def _config() -> dict[str, Any]:
    import yaml  # Imported late, because the preflight runs without packages.

    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return config


def _create(cluster: KindCluster, config: dict[str, Any], path: Path) -> None:
    import yaml

    path.write_text(yaml.safe_dump(config))
    words = ("--config", str(path), "--kubeconfig", str(cluster.kubeconfig), "--wait", "180s")
    with step(f"create the kind cluster {cluster.name}"):
        _kind("create", "cluster", *words)


def _answers(name: str) -> bool:
    if shutil.which(name) is None:
        return False
    try:
        result = subprocess.run([name, "info"], capture_output=True, check=False, timeout=_ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


def _kind(*arguments: str) -> str:
    environment = {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": _require_engine()}
    program = shutil.which("kind") or str(tools("kind") / "kind")
    return _run([program, *arguments], environment)


def _require_engine() -> str:
    container_engine = engine()
    if container_engine is None:
        msg = f"no container engine answers ({', '.join(_ENGINES)}): start one, or use CLUSTER=native"
        raise LocalClusterError(msg)
    return container_engine


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        msg = f"`{Path(command[0]).name} {' '.join(command[1:4])}` failed: {result.stderr.strip()[-1500:]}"
        raise LocalClusterError(msg)
    return result.stdout
