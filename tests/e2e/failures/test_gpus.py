"""Deployments with GPUs: without a free one, and with devices of a device plugin, which exist only for the kubelet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.native.device_plugin import variable
from hack.cluster.native.devices import offered
from hack.cluster.native.node import NativeCluster
from tests.e2e.failures.conftest import Wrong
from tests.e2e.private_callers import client_of
from tests.kube import Kube
from tests.proxy.load import Load, over_grpc, over_http, under_load
from tests.served import Served, serve

NAME, GPU = "gpus", "nvidia.com/gpu"
GPUS = ["gpu-0", "gpu-1"]
IN_PLACE = {"method": "InPlace", "message": "replacing in place: no free nvidia.com/gpu"}


@pytest.fixture(scope="module", autouse=True)
def applied(wrong: Wrong, images: dict[str, Any]) -> None:
    """Two replicas with one GPU each; the CPU server is sufficient, because no test computes on a GPU."""
    triton = {"image": images["triton-cpu"].reference, "version": "24.10"}
    wrong(NAME, replicas=2, gpu={"count": 1}, triton=triton)


def test_no_node_has_a_gpu(kube: Kube) -> None:
    condition = kube.wait_reason(NAME, "InsufficientGPU")
    assert "Insufficient nvidia.com/gpu" in condition["message"]


def test_pods_are_replaced_in_place_while_all_gpus_are_in_use(
    node: RunningCluster, kube: Kube, measured: Callable[[str], None]
) -> None:
    """A new pod gets its GPU from an old one, while the other one serves."""
    if not isinstance(node, NativeCluster):
        pytest.skip("the device plugin needs the folder of the native node's kubelet")
    with offered(node, {GPU: len(GPUS)}):
        kube.wait_ready(NAME)
        before = serving_pods(kube)
        assert allocated(kube, before) == GPUS
        with serve(node, kube, NAME) as served, calls(served) as loads:
            kube.patch("modeldeployment", NAME, {"spec": {"triton": {"logLevel": "Info"}}})
            kube.wait(lambda: rollout(kube) == IN_PLACE, "the rollout is in place")
            most = most_gpus_until_ready(kube)
        after = serving_pods(kube)
        assert allocated(kube, after) == GPUS
        kube.delete("modeldeployment", NAME)
    measured("; ".join(f"{load.name}: {load.requests} requests, {len(load.failures)} failed" for load in loads))
    assert before.isdisjoint(after)
    assert most == len(GPUS)
    assert [load.failures for load in loads] == [[], []]


def calls(served: Served) -> AbstractContextManager[list[Load]]:
    """Light load, because the pods that start need the CPUs."""
    return under_load(client_of(served, ""), over_http, over_grpc, pause=0.02)


def rollout(kube: Kube) -> object:
    body: Any = kube.get("modeldeployment", NAME)
    return body["status"].get("rollout")


def serving_pods(kube: Kube) -> set[str]:
    pods = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")
    return {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def allocated(kube: Kube, pods: set[str]) -> list[str]:
    """The devices that the kubelet has given to the containers."""
    read = ("python3", "-c", f"import os; print(os.environ['{variable(GPU)}'])")
    return sorted(kube.run("exec", pod, "-c", "triton", "--", *read).strip() for pod in pods)


def most_gpus_until_ready(kube: Kube) -> int:
    """Wait for the end of the rollout, and return how many GPUs the pods on the node had at most."""
    most = 0

    def is_ready() -> bool:
        nonlocal most
        most = max(most, gpus_on_the_node(kube))
        condition = kube.condition(NAME)
        return condition is not None and condition["status"] == "True"

    kube.wait(is_ready, "the rollout ends", 300)
    return most


def gpus_on_the_node(kube: Kube) -> int:
    """The GPUs of all pods that are bound to the node and have not ended."""
    bound = [pod for pod in kube.list("pods") if pod["spec"].get("nodeName")]
    running = [pod for pod in bound if pod["status"].get("phase") not in {"Succeeded", "Failed"}]
    requests = [each.get("resources", {}).get("limits", {}) for pod in running for each in pod["spec"]["containers"]]
    return sum(int(limits.get(GPU, 0)) for limits in requests)
