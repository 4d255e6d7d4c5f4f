"""Every failure that a user can meet, provoked on a real node: reason, cause in the message, and recovery."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.handle import Cluster
from tests.kube import Kube, Object
from tests.volumes import claim_manifest, volume_manifest

MODELS = Path(__file__).parents[1] / "models"
Make = Callable[..., Object]

_numbers = itertools.count(1)


@pytest.fixture
def deployed(kube: Kube, model_deployment: Make) -> Iterator[Callable[..., str]]:
    """Applies a ModelDeployment under a name of its own and removes it after the test, without waiting for its pods."""
    names: list[str] = []

    def apply(model: str = "linear_regression", **spec: Any) -> str:
        body = model_deployment(model, **spec)
        body["metadata"]["name"] = f"failing-{next(_numbers)}"
        kube.apply(body)
        names.append(body["metadata"]["name"])
        return names[-1]

    yield apply
    for name in names:
        kube.delete("modeldeployment", name, wait=False)


@pytest.fixture(scope="module")
def claim(node: Cluster, kube: Kube) -> Iterator[Callable[..., str]]:
    """Makes a claim; with models it is bound to a volume that holds them."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    volumes: list[str] = []
    folders: list[Path] = []

    def make(name: str, *models: str) -> str:
        kube.apply(claim_manifest(name))
        if models:
            folders.append(_fill(node, name, models))
            volume = volume_manifest(name, kube.namespace, f"{node.node_path}/{name}")
            kube.apply(volume)
            volumes.append(volume["metadata"]["name"])
        return name

    yield make
    for name in volumes:
        kube.delete("persistentvolume", name, wait=False)
    for folder in folders:
        shutil.rmtree(folder)


def test_a_model_that_is_not_in_the_repository(kube: Kube, deployed: Callable[..., str]) -> None:
    name = deployed(models=[{"name": "linear_regression", "path": "linear-regression"}])
    condition = kube.wait_reason(name, "ModelNotFound")
    assert "linear-regression" in condition["message"]
    assert "linear_regression" in condition["message"], "it should say what is there instead"
    assert kube.condition(name, "Stalled")["status"] == "True"  # type: ignore[index]
    kube.patch("modeldeployment", name, {"spec": {"models": [{"name": "linear_regression"}]}})
    kube.wait_ready(name)


def test_a_model_that_triton_cannot_load(
    kube: Kube, deployed: Callable[..., str], claim: Callable[..., str], images: dict[str, Any]
) -> None:
    volume = claim("broken", "not_torchscript")
    name = deployed(modelRepository={"pvc": {"claimName": volume}}, models=[{"name": "not_torchscript"}])
    condition = kube.wait_reason(name, "ModelLoadFailed", seconds=90)
    assert "failed to load 'not_torchscript' version 1" in condition["message"]
    assert "TorchScript" in condition["message"]
    source = {"image": {"reference": images["models"].reference}, "pvc": None}
    kube.patch(
        "modeldeployment", name, {"spec": {"modelRepository": source, "models": [{"name": "linear_regression"}]}}
    )
    kube.wait_ready(name)
    assert kube.get("modeldeployment", name)["status"]["lastFailure"]["reason"] == "ModelLoadFailed"  # type: ignore[index]


@pytest.mark.parametrize("which", ["models", "server"])
def test_an_image_that_cannot_be_pulled(
    which: str, kube: Kube, deployed: Callable[..., str], images: dict[str, Any]
) -> None:
    missing = "triton-operator.local/nothing-here:1"
    if which == "models":
        name = deployed(modelRepository={"image": {"reference": missing}})
    else:
        name = deployed(triton={"image": missing})
    condition = kube.wait_reason(name, "ImagePullFailed")
    assert missing in condition["message"]
    source = {"image": {"reference": images["models"].reference}}
    kube.patch("modeldeployment", name, {"spec": {"modelRepository": source, "triton": None}})
    kube.wait_ready(name)


def test_a_claim_that_does_not_exist(kube: Kube, deployed: Callable[..., str], claim: Callable[..., str]) -> None:
    name = deployed(modelRepository={"pvc": {"claimName": "late"}}, models=[{"name": "linear_regression"}])
    condition = kube.wait_reason(name, "DependencyMissing")
    assert '"late"' in condition["message"]
    claim("late", "linear_regression")
    kube.wait_ready(name)


def test_a_claim_that_has_no_volume(kube: Kube, deployed: Callable[..., str], claim: Callable[..., str]) -> None:
    claim("unbound")
    name = deployed(modelRepository={"pvc": {"claimName": "unbound"}}, models=[{"name": "linear_regression"}])
    kube.wait_reason(name, "VolumeUnbound")
    claim("unbound", "linear_regression")
    kube.wait_ready(name)


def test_no_gpu_on_any_node_and_then_one(kube: Kube, deployed: Callable[..., str], images: dict[str, Any]) -> None:
    # The CPU server: what is tested is the way through the scheduler, not the computation.
    name = deployed(gpu={"count": 1}, triton={"image": images["triton-cpu"].reference, "version": "24.10"})
    condition = kube.wait_reason(name, "InsufficientGPU")
    assert "Insufficient nvidia.com/gpu" in condition["message"]
    node = kube.list("nodes")[0]["metadata"]["name"]
    kube.patch("node", node, {"status": {"capacity": {"nvidia.com/gpu": "1"}}}, subresource="status")
    try:
        kube.wait_ready(name)
        pod = _pods(kube, name)[0]
        assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    finally:
        gone = {"capacity": {"nvidia.com/gpu": None}, "allocatable": {"nvidia.com/gpu": None}}
        kube.patch("node", node, {"status": gone}, subresource="status")


@pytest.mark.parametrize(
    ("victim", "signal"),
    [("tritonserver", "SEGV"), ("triton_python_backend_stub", "KILL")],
    ids=["the server", "the model's process"],
)
def test_a_crash_after_ready(victim: str, signal: str, kube: Kube, deployed: Callable[..., str]) -> None:
    name = deployed()
    kube.wait_ready(name)
    pod = _pods(kube, name)[0]["metadata"]["name"]
    kube.run("exec", pod, "-c", "triton", "--", "python3", "-c", _KILL.format(victim=victim, signal=signal))
    condition = kube.wait_reason(name, "Crashed", seconds=15)
    if victim != "tritonserver":
        assert "linear_regression" in condition["message"]
    kube.wait_ready(name)
    failure = kube.get("modeldeployment", name)["status"]["lastFailure"]  # type: ignore[index]
    assert (failure["pod"], failure["reason"]) == (pod, "Crashed")


def test_suspended_and_resumed(kube: Kube, deployed: Callable[..., str]) -> None:
    name = deployed()
    kube.wait_ready(name)
    kube.patch("modeldeployment", name, {"spec": {"suspend": True}})
    kube.wait_reason(name, "Suspended")
    kube.wait(lambda: not _pods(kube, name), "no pod is left", 90)
    kube.patch("modeldeployment", name, {"spec": {"suspend": False}})
    kube.wait_ready(name)


def test_scaled_to_zero_and_back(kube: Kube, deployed: Callable[..., str]) -> None:
    name = deployed(replicas=0)
    kube.wait_reason(name, "ScaledToZero")
    kube.run("scale", f"modeldeployment/{name}", "--replicas=1")
    kube.wait_ready(name)


_KILL = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if "{victim}" in os.readlink(process / "exe"):
        os.kill(int(process.name), signal.SIG{signal})
"""


def _pods(kube: Kube, name: str) -> list[Object]:
    return kube.list("pods", f"triton-operator.io/model-deployment={name}")


def _fill(node: Cluster, name: str, models: tuple[str, ...]) -> Path:
    """Copy models of the tests, or of the repository, to where the node sees them."""
    assert node.host_path
    folder = node.host_path / name
    for model in models:
        committed = MODELS / model
        source = committed if committed.exists() else Path("model_repository") / model
        shutil.copytree(source, folder / model, dirs_exist_ok=True)
    return folder
