"""Events after a deployment is ready: crashes, failed rollouts, suspension and scaling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.failures.conftest import Wrong
from tests.kube import Kube, Object

_KILL = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if "{victim}" in os.readlink(process / "exe"):
        os.kill(int(process.name), signal.SIG{signal})
"""


AS_IT_WAS = {"models": [{"name": "linear_regression"}], "suspend": False, "replicas": 1}


@pytest.fixture(scope="module")
def deployed(wrong: Wrong) -> str:
    """Apply a working deployment for this module."""
    wrong("served")
    return "served"


@pytest.fixture
def served(kube: Kube, deployed: str) -> Iterator[str]:
    """Wait until the deployment is Ready; repair it afterwards, so that a failure does not affect the next test."""
    kube.wait_ready(deployed)
    yield deployed
    kube.patch("modeldeployment", deployed, {"spec": AS_IT_WAS})


@pytest.mark.parametrize(
    ("victim", "signal"),
    [("tritonserver", "SEGV"), ("triton_python_backend_stub", "KILL")],
    ids=["the server", "the model's process"],
)
def test_a_crash_is_reported(victim: str, signal: str, kube: Kube, served: str) -> None:
    pod = _pods(kube, served)[0]["metadata"]["name"]
    kube.run("exec", pod, "-c", "triton", "--", "python3", "-c", _KILL.format(victim=victim, signal=signal))
    condition = kube.wait_reason(served, "Crashed", seconds=300)
    if victim == "tritonserver":
        assert "SIGSEGV" in condition["message"] or "signal 11" in condition["message"]
    else:
        assert "linear_regression" in condition["message"]
    assert "restarted automatically" in condition["message"]
    kube.wait_ready(served)
    failure = kube.get("modeldeployment", served)["status"]["lastFailure"]  # type: ignore[index]
    assert (failure["pod"], failure["reason"]) == (pod, "Crashed")


def test_a_rollout_that_fails_leaves_the_old_replica_serving(kube: Kube, served: str) -> None:
    kube.patch("modeldeployment", served, {"spec": {"models": [{"name": "linear_regression", "path": "nowhere"}]}})
    condition = kube.wait_reason(served, "ModelNotFound")
    assert condition["message"].endswith("; 1 older replica keeps serving")
    available = kube.condition(served, "Available")
    assert available
    assert available["status"] == "True"
    kube.patch("modeldeployment", served, {"spec": {"models": [{"name": "linear_regression"}]}})
    kube.wait_ready(served)


def test_suspended_and_resumed(kube: Kube, served: str) -> None:
    kube.patch("modeldeployment", served, {"spec": {"suspend": True}})
    kube.wait_reason(served, "Suspended")
    kube.wait(lambda: not _pods(kube, served), "no pod is left", 90)
    kube.patch("modeldeployment", served, {"spec": {"suspend": False}})
    kube.wait_ready(served)


def test_scaled_to_zero_and_back(kube: Kube, served: str) -> None:
    kube.run("scale", f"modeldeployment/{served}", "--replicas=0")
    kube.wait_reason(served, "ScaledToZero")
    kube.run("scale", f"modeldeployment/{served}", "--replicas=1")
    kube.wait_ready(served)


def _pods(kube: Kube, name: str) -> list[Object]:
    return kube.list("pods", f"triton-operator.io/model-deployment={name}")
