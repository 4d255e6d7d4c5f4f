"""Failures while Triton starts: invalid models, arguments, memory, timeouts, disk space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.failures.conftest import Wrong
from tests.kube import Kube, Object


@pytest.fixture(scope="module", autouse=True)
def applied(kube: Kube, wrong: Wrong, broken: str, images: dict[str, Any]) -> Iterator[None]:
    """Apply all failing deployments of this module at once; each crashes repeatedly until its test has checked it."""
    on_claim = {"pvc": {"claimName": broken}}
    server = images["triton-cpu"].reference
    wrong("not-torchscript", modelRepository=on_claim, models=[{"name": "not_torchscript"}])
    wrong("wrong-shape", modelRepository=on_claim, models=[{"name": "wrong_shape"}])
    # The backends of an image that is not in the catalogue are unknown until the image runs.
    wrong("no-backend", modelRepository=on_claim, models=[{"name": "no_backend"}], triton={"image": server})
    wrong("bad-argument", triton={"extraArgs": ["--rate-limit-resource=R1"], "image": server})
    wrong("small", resources={"limits": {"memory": "100Mi"}})
    wrong(
        "slow",
        modelRepository=on_claim,
        models=[{"name": "slow", "format": "Python"}],
        lifecycle={"startupTimeoutSeconds": 10},
    )
    wrong("greedy", modelRepository=on_claim, models=[{"name": "greedy", "format": "Python"}])
    yield
    for name in ("not-torchscript", "wrong-shape", "no-backend", "bad-argument", "small", "slow", "greedy"):
        kube.delete("modeldeployment", name, wait=False)


def test_a_model_that_triton_cannot_load(kube: Kube, images: dict[str, Any]) -> None:
    condition = kube.wait_reason("not-torchscript", "ModelLoadFailed", seconds=300)
    assert "failed to load 'not_torchscript' version 1" in condition["message"]
    assert "TorchScript" in condition["message"]
    body = _get(kube, "not-torchscript")
    assert body["status"]["models"][0]["state"] == "Failed"
    assert "failed to load" in body["status"]["models"][0]["message"]
    source = {"image": {"reference": images["models"].reference}, "pvc": None}
    change = {"spec": {"modelRepository": source, "models": [{"name": "linear_regression"}]}}
    kube.patch("modeldeployment", "not-torchscript", change)
    kube.wait_ready("not-torchscript")
    assert _get(kube, "not-torchscript")["status"]["lastFailure"]["reason"] == "ModelLoadFailed"
    kube.delete("modeldeployment", "not-torchscript", wait=False)


def test_a_warm_up_that_fails(kube: Kube) -> None:
    condition = kube.wait_reason("wrong-shape", "WarmupFailed", seconds=300)
    assert "'wrong_shape' version 1" in condition["message"]
    assert "unexpected shape for input 'INPUT__0'" in condition["message"]
    assert "got [1,7]" in condition["message"], "the shape that was sent"
    kube.delete("modeldeployment", "wrong-shape", wait=False)


def test_a_backend_that_the_image_lacks(kube: Kube) -> None:
    condition = kube.wait_reason("no-backend", "UnsupportedByImage", seconds=300)
    assert "unable to find backend library for backend 'nosuch'" in condition["message"]
    kube.delete("modeldeployment", "no-backend", wait=False)


def test_an_argument_that_triton_refuses(kube: Kube) -> None:
    condition = kube.wait_reason("bad-argument", "ServerArgumentInvalid", seconds=300)
    assert "spec.triton.extraArgs contains --rate-limit-resource=R1" in condition["message"]
    kube.delete("modeldeployment", "bad-argument", wait=False)


def test_too_little_memory(kube: Kube) -> None:
    condition = kube.wait_reason("small", "OutOfMemory", seconds=300)
    assert "limit of 100Mi" in condition["message"]
    assert "try spec.resources.limits.memory: 192Mi" in condition["message"]
    kube.delete("modeldeployment", "small", wait=False)


def test_a_start_that_takes_too_long(kube: Kube) -> None:
    condition = kube.wait_reason("slow", "StartupTimeout", seconds=300)
    assert "10 s" in condition["message"]
    assert "restarted automatically" in condition["message"]
    kube.delete("modeldeployment", "slow", wait=False)


def test_a_volume_that_is_full(kube: Kube) -> None:
    condition = kube.wait_reason("greedy", "OutOfSpace", seconds=300)
    assert 'EmptyDir volume "tmp" exceeds the limit "256Mi"' in condition["message"]
    assert _get(kube, "greedy")["status"]["lastFailure"]["reason"] == "OutOfSpace"
    kube.delete("modeldeployment", "greedy", wait=False)


def _get(kube: Kube, name: str) -> Object:
    body = kube.get("modeldeployment", name)
    assert body
    return body
