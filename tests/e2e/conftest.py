"""A real node with the operator installed as users install it: Helm chart, images, restricted namespaces.

The node is started once per session, and stopped at the end unless it was already running.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack import cluster as local
from hack.cache import give_back
from hack.cluster.handle import RunningCluster
from hack.images import build
from hack.images.builder import BuiltImage
from hack.install import install_operator, make_namespace
from hack.preflight import require_machine
from tests.kube import Kube, Object
from tests.programs import build_before_tests

IMAGES = ("operator", "triton-cpu", "models")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build programs and images before any test's timeout starts; on a new machine that takes a quarter of an hour."""
    if not _unfit():
        build_before_tests(session, Path(__file__).parent, images=IMAGES)


def _unfit() -> str:
    """Return the node's missing requirements; empty if this machine can run a node."""
    try:
        require_machine()
    except local.LocalClusterError as error:
        return " ".join(str(error).split())
    return ""


@pytest.fixture(scope="session")
def node() -> Iterator[RunningCluster]:
    was_up = local.running() is not None
    if reason := _unfit():
        pytest.skip(reason)
    yield local.ensure()
    if not was_up:
        local.down()
    give_back()


@pytest.fixture(scope="session")
def images(node: RunningCluster) -> dict[str, BuiltImage]:
    built = {image.name: image for image in build(*IMAGES)}
    node.load_images(built.values())
    return built


@pytest.fixture(scope="session")
def operator(node: RunningCluster, images: dict[str, BuiltImage]) -> str:
    """Install the operator and return its namespace."""
    return install_operator(node, images)


@pytest.fixture(scope="session")
def in_namespace(node: RunningCluster) -> Callable[[str], Kube]:
    """Return a function that creates a `Kube` for any namespace."""
    return lambda namespace: Kube(local.tools() / "kubectl", node.kubeconfig, namespace)


@pytest.fixture(scope="module")
def kube(
    request: pytest.FixtureRequest, node: RunningCluster, operator: str, in_namespace: Callable[[str], Kube]
) -> Iterator[Kube]:
    """Create a namespace for this module that enforces Pod Security `restricted`."""
    name = re.sub(r"[^a-z0-9-]+", "-", f"e2e-{Path(str(request.path)).stem.removeprefix('test_')}")
    created = in_namespace(name)
    created.wait_for_deletion()
    make_namespace(node, name)
    yield created
    created.delete_namespace()


@pytest.fixture(scope="session")
def model_deployment(images: dict[str, BuiltImage]) -> Callable[..., Object]:
    """Return a function that creates a ModelDeployment manifest, which uses the built model image."""

    def make(name: str, **spec: Any) -> Object:
        defaults = {
            "modelRepository": {"image": {"reference": images["models"].reference}},
            "models": [{"name": name}],
            # The requests are small because the node, its pods and the tests share two cores.
            "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
        }
        return {
            "apiVersion": "triton-operator.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name.replace("_", "-")},
            "spec": {key: value for key, value in (defaults | spec).items() if value is not None},
        }

    return make
