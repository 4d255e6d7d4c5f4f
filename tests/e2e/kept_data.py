"""Everything that the native node, its API server and the metrics of its programs keep, to be searched by a test.

Input: the node, and the time after which files count. Output: the texts of one kind after another, by their place. A
file counts if it has changed since that time; that excludes the files of images, which have an earlier time.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
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
_CORE_LIMIT = re.compile(r"^Max core file size +(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class KeptData:
    """What can be searched; `operator` is a namespace, and `deployment` is one in the namespace of `kube`.

    Without `memory`, files in memory (tmpfs) are left out.
    """

    node: NativeCluster
    kube: Kube
    operator: str
    deployment: str
    since: float
    memory: bool = True

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

    def disk_folders(self) -> list[Path]:
        """Folders on disks that programs of the node write to: kubelet, logs, images and containers, and /tmp."""
        folders = [self._inside / each for each in ("var/lib/kubelet", "var/log/pods", "tmp")]
        return [*folders, self.node.layout.images]

    def pod_programs(self, words: bytes) -> list[int]:
        """The processes of the deployment's pods with these words in their command line."""
        found = []
        for process in self._pod_processes(Path("/proc")):
            with suppress(OSError):  # It has ended meanwhile.
                if words in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        return found

    def core_limits(self, words: bytes) -> set[str]:
        """The limits of core dumps of these processes, in bytes: a dump would put their memory on a disk."""
        found: set[str] = set()
        for process in self.pod_programs(words):
            with suppress(OSError):  # It has ended meanwhile.
                found.update(_CORE_LIMIT.findall(Path(f"/proc/{process}/limits").read_text()))
        return found

    def _container_logs(self) -> Texts:
        return self._files([self._inside / "var/log/pods"])

    def _pod_files(self) -> Texts:
        """The container's whole file system, with its volumes, as the processes of the pod see it."""
        return self._files(whole_roots(self._pod_processes()))

    def _node_files(self) -> Texts:
        """The folders of the kubelet, containerd and etcd, /tmp, and the logs of all programs of the node."""
        return self._files([*(self._inside / each for each in ("run", "var/lib", "tmp")), self.node.layout.root])

    def _processes(self) -> Texts:
        for process in self._all_processes():
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    yield f"{process}/{name}", (process / name).read_bytes()

    def _objects(self) -> Texts:
        """All objects of all kinds, with the values of Secrets as text and as bytes, and Helm's releases."""
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
                decoded = [base64.b64decode(value) for value in values.values()]
                if body.get("type") == "helm.sh/release.v1":
                    decoded = [gzip.decompress(base64.b64decode(release)) for release in decoded]
                yield name, b"\n".join([json.dumps(body, ensure_ascii=False).encode(), *decoded])

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

    def _all_processes(self, proc: Path | None = None) -> list[Path]:
        return [entry for entry in (proc or self._inside / "proc").iterdir() if entry.name.isdigit()]

    def _pod_processes(self, proc: Path | None = None) -> Iterator[Path]:
        """All processes of the containers of the deployment's pods, as folders of the node's or another /proc."""
        selector = f"triton-operator.io/model-deployment={self.deployment}"
        uids = [pod["metadata"]["uid"] for pod in self.kube.list("pods", selector)]
        for process in self._all_processes(proc):
            with suppress(OSError):
                groups = (process / "cgroup").read_text()
                if any(uid in groups for uid in uids):
                    yield process

    def _files(self, folders: Iterable[Path]) -> Texts:
        seen: set[tuple[int, int]] = set()
        left_out = set() if self.memory else self._memory_devices()
        for folder in folders:
            for entry in _regular_files(folder):
                with suppress(OSError):  # It has been removed meanwhile.
                    found = entry.stat(follow_symlinks=False)
                    identity = (found.st_dev, found.st_ino)
                    if found.st_ctime >= self.since and found.st_dev not in left_out and identity not in seen:
                        content = Path(entry.path).read_bytes()
                        seen.add(identity)
                        yield entry.path, content

    def _memory_devices(self) -> set[int]:
        """The devices of file systems in memory that the node or a container of the pods has mounted."""
        found = set()
        for process in [self._inside / "proc" / "1", *self._pod_processes()]:
            with suppress(OSError):
                for line in (process / "mountinfo").read_text().splitlines():
                    mount, _, source = line.partition(" - ")
                    if source.split()[0] == "tmpfs":
                        major, _, minor = mount.split()[2].partition(":")
                        found.add(os.makedev(int(major), int(minor)))
        return found


def whole_roots(processes: Iterable[Path]) -> Iterator[Path]:
    """A root of each mount namespace; the next one if its process has ended before the caller asks for more.

    The files below the root of a process vanish with it. Thus, each root has to be searched before the next is asked
    for: only then is it known whether the search was complete.
    """
    namespaces: dict[Path, list[Path]] = {}
    for process in processes:
        if namespace := _mount_namespace(process):
            namespaces.setdefault(namespace, []).append(process)
    for namespace, members in namespaces.items():
        for process in members:
            yield process / "root"
            if _mount_namespace(process) == namespace:
                break


def _mount_namespace(process: Path) -> Path | None:
    """None if the process has ended."""
    with suppress(OSError):
        return (process / "ns" / "mnt").readlink()
    return None


def _regular_files(top: Path) -> Iterator[os.DirEntry[str]]:
    """Regular files below a folder, without those of the kernel."""
    folders = [str(top)]
    while folders:
        folder = folders.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield entry
                elif entry.is_dir(follow_symlinks=False) and not (folder == str(top) and entry.name in _KERNEL):
                    folders.append(entry.path)
