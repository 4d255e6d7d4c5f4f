"""Compare the operator's defaults with Triton's.

Each model is served twice: with a typed configuration, to which the operator adds defaults, and with the same tensors
in a config.pbtxt, to which it adds nothing.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hack.images.builder import BuiltImage
from tests.benchmarks.costs import Costs
from tests.kube import Kube, Object

LOAD = (Path(__file__).parents[1] / "load_client.py").read_text()
CONNECTIONS, SECONDS, ROUNDS = 32, 2.0, 3
CPUS = "1"
"""The server uses one of two cores; the client uses the other."""


class Served(NamedTuple):
    """A model of the repository and its tensor shapes, without the batch dimension."""

    name: str
    input: tuple[int, ...]
    output: tuple[int, ...]

    def typed(self) -> Object:
        """Return the model with a typed configuration."""
        config = {
            "maxBatchSize": 64,
            "inputs": [{"name": "INPUT__0", "dataType": "FP32", "dims": list(self.input)}],
            "outputs": [{"name": "OUTPUT__0", "dataType": "FP32", "dims": list(self.output)}],
        }
        return {"name": self.name, "config": config}

    def text(self) -> str:
        """Return the same configuration as config.pbtxt."""
        return f"""
            backend: "pytorch"
            max_batch_size: 64
            input {{ name: "INPUT__0" data_type: TYPE_FP32 dims: {list(self.input)} }}
            output {{ name: "OUTPUT__0" data_type: TYPE_FP32 dims: {list(self.output)} }}
        """


MODELS = (
    Served("digits", (1, 28, 28), (10,)),
    # This model is so small that most of the time is spent in the client and on the network.
    Served("linear_regression", (2,), (1,)),
)


@pytest.fixture(scope="module", params=MODELS, ids=lambda served: served.name)
def addresses(
    request: pytest.FixtureRequest, kube: Kube, model_deployment: Callable[..., Object], client: None
) -> Iterator[tuple[Served, dict[str, str]]]:
    """Deploy a model in both variants; yield the model and the address of each variant's pod."""
    served: Served = request.param
    stem = served.name.replace("_", "-")
    by_hand = {"name": served.name, "configMapRef": {"name": stem}}
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": stem}, "data": {"config.pbtxt": served.text()}},
        _deployment(model_deployment, f"{stem}-chosen", served.typed()),
        _deployment(model_deployment, f"{stem}-silent", by_hand),
    )
    results = {}
    for way in ("chosen", "silent"):
        kube.wait_ready(f"{stem}-{way}")
        (pod,) = kube.list("pods", f"triton-operator.io/model-deployment={stem}-{way}")
        results[way] = f"{pod['status']['podIP']}:8000"
    yield served, results
    for way in results:
        kube.delete("modeldeployment", f"{stem}-{way}")


def bench_chosen_values(addresses: tuple[Served, dict[str, str]], kube: Kube, costs: Costs) -> None:
    """The variants alternate, so that other load on the machine affects both."""
    served, where = addresses
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in where}
    for number in range(ROUNDS):
        for way in sorted(where, reverse=number % 2 == 1):
            runs[way].append(_load(kube, where[way], served))
    median = {
        way: {figure: statistics.median(run[figure] for run in each) for figure in ("rps", "p50", "p99")}
        for way, each in runs.items()
    }
    name = f"{served.name}, chosen values against Triton's own"
    costs.add(f"{name}: time per request", median["silent"]["rps"] / median["chosen"]["rps"], "times")
    costs.add(f"{name}: p99", median["chosen"]["p99"] / median["silent"]["p99"], "times")


def _deployment(model_deployment: Callable[..., Object], name: str, model: Object) -> Object:
    resources = {"limits": {"cpu": CPUS, "memory": "1Gi"}}
    # Without TLS, because the costs of Triton are compared.
    body = model_deployment(name, models=[model], resources=resources, privacy={"tls": {"mode": "Disabled"}})
    body["spec"]["resources"]["requests"] = {"cpu": "50m", "memory": "256Mi"}
    return body


def _load(kube: Kube, address: str, served: Served) -> dict[str, float]:
    shape = ",".join(str(size) for size in (1, *served.input))
    words = [address, served.name, "INPUT__0", shape, str(CONNECTIONS), str(SECONDS)]
    answer: dict[str, float] = json.loads(kube.run("exec", "client", "--", "python3", "-c", LOAD, *words))
    return answer


@pytest.fixture(scope="module")
def client(kube: Kube, images: dict[str, BuiltImage]) -> None:
    """Start a pod in the same namespace, which the network policy admits; the namespace's deletion removes it."""
    security: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "client",
        "image": images["operator"].reference,
        "command": ["python3", "-c", "import time; time.sleep(3600)"],
        "securityContext": security,
    }
    profile = {"type": "RuntimeDefault"}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": profile},
        "containers": [container],
    }
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": pod})
    kube.run("wait", "pod/client", "--for=condition=Ready", "--timeout=60s")
