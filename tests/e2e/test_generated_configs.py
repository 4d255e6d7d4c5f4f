"""A real Triton loads random typed configurations: 55 models in five pods."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from hack.cluster.handle import RunningCluster
from tests.drawn_models import draw_models
from tests.kube import Kube, Object
from tests.model_folders import write_model
from tests.volumes import claim_manifest, volume_manifest
from triton_operator.api.model import Model

MODELS_PER_POD = 11
"""On the CPU, each version of a model is a process, and two cores can start only a limited number at once."""

SECONDS = 280


@pytest.fixture
def claim(node: RunningCluster, kube: Kube) -> Iterator[Callable[[str, list[Model]], str]]:
    """Return a function that creates a claim whose volume contains the models' folders."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    folders: list[Path] = []

    def make(name: str, models: list[Model]) -> str:
        assert node.host_path
        folders.append(node.host_path / name)
        for model in models:
            write_model(model, folders[-1])
        kube.apply(claim_manifest(name), volume_manifest(name, kube.namespace, f"{node.node_path}/{name}"))
        return name

    yield make
    for folder in folders:
        kube.delete("persistentvolume", f"{kube.namespace}-{folder.name}", wait=False)
        shutil.rmtree(folder)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("seed", range(5))
def test_all_drawn_models_are_loaded(
    seed: int, kube: Kube, model_deployment: Callable[..., Object], claim: Callable[[str, list[Model]], str]
) -> None:
    name = f"drawn-{seed}"
    models = draw_models(Random(seed), MODELS_PER_POD)
    source = {"pvc": {"claimName": claim(name, models)}}
    kube.apply(model_deployment(name, modelRepository=source, models=msgspec.to_builtins(models)))
    try:
        body = kube.wait_ready(name, seconds=SECONDS)
    finally:
        kube.run("delete", "modeldeployment", name, "--cascade=foreground", "--wait=true", "--timeout=300s")
    states = {model["name"]: model["state"] for model in body["status"]["models"]}
    assert states == {model.name: "Ready" for model in models}
