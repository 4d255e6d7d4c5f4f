"""Start the native node, or continue an interrupted start.

Input: the layout. Output: a node that is Ready and resolves names. `node.up` calls it while it holds the node's lock.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_dir
from hack.cluster import credentials, pki
from hack.cluster.handle import kubectl_command
from hack.cluster.kubeconfig import write_kubeconfig
from hack.cluster.native import preflight, record
from hack.cluster.native.addons import KUBELET_CLIENT, POLICY_ENFORCER, addons
from hack.cluster.native.components import API_TARGET
from hack.cluster.native.config import config_files
from hack.cluster.native.images import import_images
from hack.cluster.native.layout import NODE_ADDRESS, NODE_NAME
from hack.cluster.native.stop import clear, stop
from hack.cluster.process import log_end
from hack.cluster.readiness import FIRST_SERVICE_ACCOUNT, api_answers
from hack.failures import StartError
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Callable

    from hack.cluster.image import LoadableImage
    from hack.cluster.native.layout import Layout
    from hack.cluster.native.record import RunRecord

_REPOSITORY = Path(__file__).resolve().parents[3]
_POLL_SECONDS = 0.1
_READY_SECONDS = 120.0
_PREFERRED_PORT = 16443
_TOO_MANY_RESTARTS = 8


def start(layout: Layout, programs: Path, pause: LoadableImage, dns: LoadableImage) -> RunRecord:
    """Return the record of a complete node; start one if none is running, or complete an interrupted start.

    Raises StartError with the component that does not become ready and the end of its log.
    """
    run = record.running(layout)
    if run is None:
        with step("start the node"):
            run = _launch(layout, programs, pause)
    _finish(layout, programs, pause, dns, run)
    run = replace(run, complete=True)
    record.write(layout, run)
    return run


def _launch(layout: Layout, programs: Path, pause: LoadableImage) -> RunRecord:
    preflight.require(preflight.try_kernel(cache_dir(), programs))
    stop(layout)
    clear(layout)
    shutil.rmtree(layout.logs, ignore_errors=True)
    _write_files(layout, programs, pause.reference)
    with _listener() as listener:
        port = listener.getsockname()[1]
        write_kubeconfig(layout.kubeconfig, f"https://127.0.0.1:{port}", layout.endpoints.pki, "admin")
        pid = _spawn(layout, programs, listener.fileno())
    started = record.start_time(pid)
    if started is None:
        raise StartError(f"the node ended at once. {log_end(layout.logs / 'supervisor.log')}")
    run = record.RunRecord(pid, started, port, str(programs))
    record.write(layout, run)
    return run


def _write_files(layout: Layout, programs: Path, pause_image: str) -> None:
    for folder in (layout.images, layout.config / "cni", layout.var_lib, layout.var_log, layout.share, layout.logs):
        folder.mkdir(parents=True, exist_ok=True)
    # Pods with any user ID must be able to access the files that tests create in this folder.
    layout.share.chmod(0o755)
    for name, content in config_files(layout, programs, pause_image).items():
        (layout.config / name).write_text(content)
    _write_credentials(layout)


def _write_credentials(layout: Layout) -> None:
    at, server = layout.endpoints, f"https://{API_TARGET}"
    authority = credentials.write_control_plane_files(at, server)
    subjects = {
        KUBELET_CLIENT: pki.CertificateSubject(KUBELET_CLIENT),
        "kubelet": pki.CertificateSubject(
            f"system:node:{NODE_NAME}", groups=("system:nodes",), hosts=(NODE_NAME,), addresses=(NODE_ADDRESS,)
        ),
        "kube-proxy": pki.CertificateSubject("system:kube-proxy"),
        POLICY_ENFORCER: pki.CertificateSubject(POLICY_ENFORCER),
    }
    for name, subject in subjects.items():
        authority.issue(name, subject)
        write_kubeconfig(at.pki / f"{name}.kubeconfig", server, at.pki, name)


def _listener() -> socket.socket:
    """Return a listening socket on the machine's loopback: on the usual port, or on another if it is in use."""
    for port in (_PREFERRED_PORT, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen(128)
        return listener
    raise StartError("no port of 127.0.0.1 is free for the API server: end programs that hold ports open")


def _spawn(layout: Layout, programs: Path, listener: int) -> int:
    """Start the supervisor in new namespaces; return its process ID outside of them."""
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation=private"]
    words = ["-m", "hack.cluster.native.supervisor", str(layout.root), str(programs), str(listener)]
    # The environment is minimal, because the user's proxy and language settings must not affect the components.
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}
    environment |= {"PYTHONPATH": str(_REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    with (layout.logs / "supervisor.log").open("wb") as log:
        outer = subprocess.Popen(
            ["unshare", *namespaces, sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            pass_fds=(listener,),
            start_new_session=True,
        )
    # The process outlives this program. If it has already exited, `poll` records that, so that Python does not warn.
    atexit.register(outer.poll)
    deadline = time.monotonic() + _READY_SECONDS
    while outer.poll() is None and time.monotonic() < deadline:
        pid = record.child_of(outer.pid)
        if pid is not None:
            return pid
        time.sleep(_POLL_SECONDS / 10)
    raise StartError(f"the node's namespaces could not be made. {log_end(layout.logs / 'supervisor.log')}")


def _finish(layout: Layout, programs: Path, pause: LoadableImage, dns: LoadableImage, run: RunRecord) -> None:
    kubectl = kubectl_command(programs, layout.kubeconfig)
    with step("import the node's own images"):
        _await(layout, run, "containerd", lambda: _is_open(layout, "containerd"))
        import_images(run.supervisor, programs, [pause, dns])
    server, folder = f"https://127.0.0.1:{run.api_port}", layout.endpoints.pki
    with step("wait for the API server"):
        _await(layout, run, "kube-apiserver", lambda: api_answers(server, folder))
        _apply(kubectl, addons(dns.reference))
        _await(layout, run, "kube-controller-manager", lambda: api_answers(server, folder, FIRST_SERVICE_ACCOUNT))
    with step("wait for the node and its DNS"):
        _await(layout, run, "kubelet", lambda: _node_is_ready(kubectl))
        _await(layout, run, "kubelet", lambda: _dns_is_ready(kubectl))


def _await(layout: Layout, run: RunRecord, component: str, ready: Callable[[], bool]) -> None:
    """Return once `ready()` is true; raise StartError early if the node exits or a component keeps crashing."""
    deadline = time.monotonic() + _READY_SECONDS
    while not ready():
        if record.start_time(run.supervisor) != run.started:
            raise StartError(f"the node has ended. {log_end(layout.logs / 'supervisor.log')}")
        dying = _dying(layout)
        if dying or time.monotonic() > deadline:
            name = dying or component
            what = "keeps ending" if dying else f"was not ready after {_READY_SECONDS:.0f} s"
            raise StartError(f"{name} {what}. {log_end(layout.logs / f'{name}.log')}")
        time.sleep(_POLL_SECONDS)


def _dying(layout: Layout) -> str | None:
    states = record.component_states(layout)
    return next((name for name, state in states.items() if state["restarts"] >= _TOO_MANY_RESTARTS), None)


def _is_open(layout: Layout, component: str) -> bool:
    return bool(record.component_states(layout).get(component, {}).get("ready"))


def _node_is_ready(kubectl: list[str]) -> bool:
    query = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    return _output([*kubectl, "get", "nodes", "-o", query]) == "True"


def _dns_is_ready(kubectl: list[str]) -> bool:
    query = "jsonpath={.status.readyReplicas}"
    return _output([*kubectl, "get", "deployment", "coredns", "-n", "kube-system", "-o", query]) == "1"


def _apply(kubectl: list[str], manifests: list[dict[str, object]]) -> None:
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    command = [*kubectl, "apply", "--server-side", "--force-conflicts", "-f", "-"]
    result = subprocess.run(command, input=items, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise StartError(f"the API server refused the node's own objects: {result.stderr.strip()}")


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
