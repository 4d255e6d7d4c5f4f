"""Deployments that fail: all are created at once in one namespace, and awaited one by one.

`wrong`     applies a ModelDeployment; its name describes the fault
`broken`    the name of a claim with broken models, each with a different fault (`broken_models`)
`claim`     creates additional claims, with models or without a volume
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.handle import RunningCluster
from hack.install import make_namespace
from tests.e2e.failures.broken_models import write_broken_models
from tests.kube import Kube, Object
from tests.volumes import claim_manifest, volume_manifest

NAMESPACE = "e2e-failures"
REPOSITORY = Path(__file__).parents[3] / "model_repository"

Wrong = Callable[..., str]


@pytest.fixture(scope="package")
def kube(node: RunningCluster, operator: str, in_namespace: Callable[[str], Kube]) -> Iterator[Kube]:
    created = in_namespace(NAMESPACE)
    created.wait_for_deletion()
    make_namespace(node, NAMESPACE)
    yield created
    created.delete_namespace()


@pytest.fixture(scope="package")
def wrong(kube: Kube, model_deployment: Callable[..., Object]) -> Wrong:
    """Return a function that applies a ModelDeployment and returns its name; `spec` overrides the working defaults."""

    def apply(name: str, model: str = "linear_regression", **spec: Any) -> str:
        body = model_deployment(model, **spec)
        body["metadata"]["name"] = name
        kube.apply(body)
        return name

    return apply


@pytest.fixture(scope="package")
def claim(node: RunningCluster, kube: Kube) -> Iterator[Callable[..., str]]:
    """Return a function that creates a claim; with `fill`, its volume contains the models that `fill` writes."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    volumes: list[str] = []
    folders: list[Path] = []

    def make(name: str, fill: Callable[[Path], object] | None = None) -> str:
        kube.apply(claim_manifest(name))
        if fill and node.host_path:
            folders.append(node.host_path / name)
            folders[-1].mkdir()
            fill(folders[-1])
            volume = volume_manifest(name, kube.namespace, f"{node.node_path}/{name}")
            kube.apply(volume)
            volumes.append(volume["metadata"]["name"])
        return name

    yield make
    for name in volumes:
        kube.delete("persistentvolume", name, wait=False)
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture(scope="package")
def broken(claim: Callable[..., str]) -> str:
    return claim("broken", write_broken_models)


def good_models(folder: Path) -> None:
    """Write a repository with a working model."""
    shutil.copytree(REPOSITORY / "linear_regression", folder / "linear_regression")
