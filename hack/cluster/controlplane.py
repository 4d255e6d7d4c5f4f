"""A real API server for tests: etcd and kube-apiserver on loopback, with TLS.

Input: a folder. Output: a kubeconfig. Called by the API-server test tier:

    with ControlPlane(tmp_path) as plane:
        subprocess.run(["kubectl", "--kubeconfig", plane.kubeconfig, "get", "ns"])

There is no kubelet or scheduler, so pods stay unchanged. Add "kube-controller-manager" for garbage collection,
Deployments and namespaces that can be deleted.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hack.cluster import commands, credentials, pki
from hack.cluster.kubeconfig import write_kubeconfig, write_token_kubeconfig
from hack.cluster.process import ChildProcess
from hack.cluster.readiness import FIRST_SERVICE_ACCOUNT, READY, api_answers
from hack.failures import LocalClusterError
from hack.programs.catalogue import tools
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_READY_SECONDS = 90
# The API server would wait for its clients' watches. Its memory contains nothing to save.
_STOP_SECONDS = 1.0
_TOKEN_SECONDS = 4 * 3600
ORDER = ("etcd", "kube-apiserver", "kube-controller-manager")


class ControlPlane:
    """etcd, kube-apiserver and optionally kube-controller-manager, as child processes."""

    def __init__(self, directory: Path, components: Sequence[str] = ("etcd", "kube-apiserver")) -> None:
        """Prepare a control plane that keeps all its files in `directory`, which is created if it is missing.

        Raises ValueError for a component that is not in ORDER. `start` rejects a folder that another control plane has
        used.
        """
        unknown = sorted(set(components) - set(ORDER))
        if unknown:
            msg = f"no component is called {', '.join(unknown)}; there are {', '.join(ORDER)}"
            raise ValueError(msg)
        self.directory = Path(directory)
        self.components = tuple(name for name in ORDER if name in components)
        self._children: dict[str, ChildProcess] = {}
        self._authority: pki.ClusterAuthority | None = None

    def start(self) -> None:
        """Start everything and return when the API server is ready, after about 5 s.

        The first call on a machine builds the programs, which takes minutes; the progress is displayed. Raises
        StartError, with the end of the log, after it has stopped the components that were already started.
        """
        programs = tools(*self.components)
        self._at = _endpoints(self.directory)
        self._authority = credentials.write_control_plane_files(self._at, self.server)
        (self.directory / "logs").mkdir()
        self._programs = programs
        with ExitStack() as undo:
            undo.callback(self.stop)
            for name in self.components:
                self.start_component(name)
            undo.pop_all()

    def stop(self) -> None:
        """Stop all components in reverse order; the folder with the logs remains."""
        for name in reversed(list(self._children)):
            self.stop_component(name)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self._at.api_port}"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator (group system:masters)."""
        return self._at.pki / "admin.kubeconfig"

    def client_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig for a user with a client certificate; RBAC objects determine its permissions."""
        if self._authority is None:
            msg = "the control plane has no authority yet: call start() first"
            raise LocalClusterError(msg)
        file_name = f"user-{user.replace(':', '_')}"
        self._authority.issue(file_name, pki.CertificateSubject(user, groups=groups))
        path = self._at.pki / f"{file_name}.kubeconfig"
        write_kubeconfig(path, self.server, self._at.pki, file_name)
        return path

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig with a new token of an existing service account, as in its pods."""
        request = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        client = KubernetesClient(KubeContext(str(self.kubeconfig)))
        token = client.create(path, request)["status"]["token"]
        kubeconfig = self._at.pki / f"sa-{namespace}-{name}.kubeconfig"
        write_token_kubeconfig(kubeconfig, self.server, self._at.pki, name, token)
        return kubeconfig

    def start_component(self, name: str) -> None:
        """Start one component and wait until it is ready; a restart uses the same port and data."""
        command = self._command(name)
        command[0] = str(self._programs / command[0])
        # A configured proxy must not be used for loopback addresses.
        child = ChildProcess(command, self.log(name), {"PATH": os.environ["PATH"], "HOME": str(self.directory)})
        self._children[name] = child
        child.await_ready(lambda: self._is_ready(name), _READY_SECONDS)

    def stop_component(self, name: str, *, kill: bool = False) -> None:
        """Stop one component; `kill` simulates a crash."""
        child = self._children.pop(name)
        if kill:
            child.kill()
        else:
            child.stop(_STOP_SECONDS)

    def pid(self, name: str) -> int:
        """Return a component's process ID, for measurements."""
        return self._children[name].pid

    def log(self, name: str) -> Path:
        """Return a component's log file."""
        return self.directory / "logs" / f"{name}.log"

    def _command(self, name: str) -> list[str]:
        if name == "etcd":
            return commands.etcd_command(self._at)
        if name == "kube-apiserver":
            return commands.apiserver_command(self._at, _loopback_words(self.components))
        return commands.controller_manager_command(self._at)

    def _is_ready(self, name: str) -> bool:
        if name == "etcd":
            return accepts(self._at.etcd_port)
        path = READY if name == "kube-apiserver" else FIRST_SERVICE_ACCOUNT
        return api_answers(self.server, self._at.pki, path)

    def __enter__(self) -> Self:
        """Start; see `start`."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; see `stop`."""
        self.stop()


def accepts(port: int) -> bool:
    """Whether a program on 127.0.0.1 accepts connections on `port`."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Return free ports of 127.0.0.1."""
    with ExitStack() as open_sockets:
        listeners = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _endpoints(directory: Path) -> commands.ControlPlaneEndpoints:
    api, etcd, peer = free_ports(3)
    return commands.ControlPlaneEndpoints(
        pki=directory / "pki",
        data=directory / "data",
        address="127.0.0.1",
        api_port=api,
        etcd_port=etcd,
        etcd_peer_port=peer,
    )


def _loopback_words(components: Sequence[str]) -> tuple[str, ...]:
    """Return the flags that an API server on loopback needs in addition to those of a node's API server.

    The endpoints of a Service cannot contain 127.0.0.1, so no controller writes them. Without the controller manager, a
    namespace has no `default` service account, and the admission plugin would reject every pod.
    """
    words = ("--endpoint-reconciler-type=none",)
    if "kube-controller-manager" in components:
        return words
    return (*words, "--disable-admission-plugins=ServiceAccount")
