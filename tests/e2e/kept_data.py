"""Everything that the native node, its API server and the metrics of its programs keep, to be searched by a test.

Input: the node, and the time after which files count. Output: the texts of one kind after another, by their place. A
file counts if it has changed since that time; that excludes the files of images, which have an earlier time.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.native.node import NativeCluster
from tests.kube import Kube

Texts = Iterator[tuple[str, bytes]]
_OPERATOR = "triton-operator"
_NODE_METRICS = (
    "metrics",
    "metrics/cadvisor",
    "metrics/probes",
    "metrics/resource",
    "stats/summary",
    "configz",
    "pods",
)
_KERNEL = {"proc", "sys"}


@dataclass(frozen=True)
class KeptData:
    """What can be searched; `operator` is a namespace, and `deployment` is one in the namespace of `kube`."""

    node: NativeCluster
    kube: Kube
    operator: str
    deployment: str
    since: float

    def kinds(self) -> dict[str, Callable[[], Texts]]:
        """The kinds of places."""
        return {
            "logs of containers": self._container_logs,
            "files of the pod": self._pod_files,
            "files of the node": self._node_files,
            "command lines and environments": self._processes,
            "objects": self._objects,
            "metrics": self._metrics,
        }

    def _container_logs(self) -> Texts:
        return self._files([self._inside / "var/log/pods"])

    def _pod_files(self) -> Texts:
        """The container's whole file system, with its volumes, as each process of the pod sees it."""
        return self._files(process / "root" for process in self._pod_processes())

    def _node_files(self) -> Texts:
        """The folders of the kubelet, containerd and etcd, and the logs of all programs of the node."""
        return self._files([self._inside / "run", self._inside / "var/lib", self.node.layout.root])

    def _processes(self) -> Texts:
        for process in self._all_processes():
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    yield f"{process}/{name}", (process / name).read_bytes()

    def _objects(self) -> Texts:
        """All objects of all kinds, with the values of Secrets as text and as bytes."""
        kinds = self.kube.run("api-resources", "--verbs=list", "--output=name", namespaced=False).split()
        for kind in sorted(set(kinds)):
            listed = json.loads(
                self.kube.run(
                    "get", kind, "--all-namespaces", "--output=json", "--show-managed-fields", namespaced=False
                )
            )
            for body in listed["items"]:
                metadata = body["metadata"]
                name = f"{kind} {metadata.get('namespace', '')}/{metadata.get('name', '')}"
                values = body.get("data") or {} if kind == "secrets" else {}
                decoded = b"\n".join(base64.b64decode(value) for value in values.values())
                yield name, json.dumps(body, ensure_ascii=False).encode() + decoded

    def _metrics(self) -> Texts:
        """Of Triton, the operator, the kubelet and the API server; the proxy has none."""
        selector = f"triton-operator.io/model-deployment={self.deployment}"
        paths = [self._pod_metrics(pod, 8002) for pod in self._pods(self.kube, selector)]
        operator = self.kube.beside(self.operator)
        paths += [self._pod_metrics(pod, 8080) for pod in self._pods(operator, f"app.kubernetes.io/name={_OPERATOR}")]
        for node in self.kube.run("get", "nodes", "--output=name", namespaced=False).split():
            paths += [f"/api/v1/nodes/{node.partition('/')[2]}/proxy/{each}" for each in _NODE_METRICS]
        for path in [*paths, "/metrics"]:
            yield path, self.kube.run("get", "--raw", path, namespaced=False).encode()

    @property
    def _inside(self) -> Path:
        """The root of the node's own mount namespace."""
        return Path(f"/proc/{self.node.record.supervisor}/root")

    @staticmethod
    def _pods(kube: Kube, selector: str) -> list[str]:
        return [f"{kube.namespace}/{pod['metadata']['name']}" for pod in kube.list("pods", selector)]

    @staticmethod
    def _pod_metrics(pod: str, port: int) -> str:
        namespace, _, name = pod.partition("/")
        return f"/api/v1/namespaces/{namespace}/pods/http:{name}:{port}/proxy/metrics"

    def _all_processes(self) -> list[Path]:
        return [entry for entry in (self._inside / "proc").iterdir() if entry.name.isdigit()]

    def _pod_processes(self) -> Iterator[Path]:
        """One process of each container of the deployment's pods, and their other processes."""
        selector = f"triton-operator.io/model-deployment={self.deployment}"
        uids = [pod["metadata"]["uid"] for pod in self.kube.list("pods", selector)]
        for process in self._all_processes():
            with suppress(OSError):
                groups = (process / "cgroup").read_text()
                if any(uid in groups for uid in uids):
                    yield process

    def _files(self, folders: Iterable[Path]) -> Texts:
        seen: set[tuple[int, int]] = set()
        for folder in folders:
            for path in _regular_files(folder):
                with suppress(OSError):  # It has been removed meanwhile.
                    found = path.stat(follow_symlinks=False)
                    if found.st_ctime >= self.since and (found.st_dev, found.st_ino) not in seen:
                        seen.add((found.st_dev, found.st_ino))
                        yield str(path), path.read_bytes()


def _regular_files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, without those of the kernel."""
    for parent, folders, names in os.walk(folder):
        if Path(parent) == folder:
            folders[:] = [each for each in folders if each not in _KERNEL]
        for name in names:
            path = Path(parent, name)
            with suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path
