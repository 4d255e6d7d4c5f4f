"""One real API server for the whole session, with the definition in it, and a fresh namespace for each test.

`control_plane`  the running ControlPlane (etcd, kube-apiserver); start more of it with `start_component`
`kubeconfig`     an administrator's, as a path
`kubectl`        runs kubectl as that administrator
`namespace`      a new namespace of the test's own; nothing deletes it, because all data goes with the session's folder
`operator`       the operator, running in that namespace
`api`            plain HTTP to the server, for what kubectl words differently
`unbounded`      while a test has it, `scheduling.affinity` takes anything, as it did in an older definition
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from hack.cluster.controlplane import ControlPlane
from hack.programs.catalogue import CONTROL_PLANE, tools
from tests.apiserver.api_client import Api
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body
from tests.programs import build_before_tests
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS

CRD = Path(__file__).parents[2] / "crds" / "modeldeployments.yaml"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the API server and the programs that check its objects, if they are missing."""
    build_before_tests(session, Path(__file__).parent, *CONTROL_PLANE, "helm", "kstatus", "certmanager")


class KubectlError(Exception):
    """kubectl failed; the message is its standard error."""


class Kubectl(Protocol):
    """Runs kubectl and returns its output; raises KubectlError."""

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run with `arguments`."""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Start the API server."""
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane") / "run")
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """Run kubectl against a server that has the CRD."""
    install = _kubectl(control_plane, "before")
    install("apply", "--server-side", "--filename", str(CRD))
    deadline = time.monotonic() + 180
    # Asked over and over, because `kubectl wait` fails while there is no list of conditions yet.
    while not _is_established(json.loads(install("get", "--output=json", "--filename", str(CRD)))):
        assert time.monotonic() < deadline, "the definition of ModelDeployments is not established within 180 s"
        time.sleep(0.1)
    return _kubectl(control_plane, "after")


def _is_established(definition: dict[str, Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any((condition["type"], condition["status"]) == ("Established", "True") for condition in conditions)


def _kubectl(plane: ControlPlane, memory: str) -> Kubectl:
    """Return kubectl with a separate discovery cache, which would otherwise hide a new kind for minutes."""
    program = tools("kubectl") / "kubectl"
    options = (f"--kubeconfig={plane.kubeconfig}", f"--cache-dir={plane.directory / memory}")

    def run(*arguments: str, stdin: str = "") -> str:
        command = [str(program), *options, *arguments]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
        if done.returncode:
            raise KubectlError(done.stderr)
        return str(done.stdout)

    return run


@pytest.fixture(scope="session")
def kubeconfig(control_plane: ControlPlane, kubectl: Kubectl) -> Path:
    """Return the administrator's kubeconfig of a server that has the CRD."""
    return control_plane.kubeconfig


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Api:
    """Plain HTTP as that administrator."""
    return Api(kubeconfig)


@pytest.fixture
def namespace(api: Api) -> str:
    """Create a namespace that no other test uses."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def unbounded(kubectl: Kubectl, api: Api, namespace: str) -> Iterator[None]:
    """Let `scheduling.affinity` accept any value while the test runs."""
    definition = yaml.safe_load(CRD.read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    scheduling = schema["properties"]["scheduling"]["properties"]
    scheduling["affinity"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(definition))
    _until(lambda: _takes_anything(api, namespace))
    yield
    kubectl("apply", "--server-side", "--filename", str(CRD))
    _until(lambda: not _takes_anything(api, namespace))


def _takes_anything(api: Api, namespace: str) -> bool:
    """Whether the server has applied the definition without bounds."""
    body = a_body("probe", namespace, scheduling={"affinity": {"anything": {}}})
    body["metadata"] = {"name": "probe", "namespace": namespace}
    stored: dict[str, Any] = api.create(MODEL_DEPLOYMENTS.path(namespace), body, dryRun="All")
    return bool(stored["spec"]["scheduling"]["affinity"])


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not look():
        assert time.monotonic() < deadline, "the definition is not in use yet"
        time.sleep(0.1)


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that works in the test's namespace."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as process:
        process.wait_ready()
        yield process
