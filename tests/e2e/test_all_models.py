"""Every model on the real node: each with its own example, then all of them in one pod under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hack.cluster.handle import RunningCluster
from hack.demo.run import with_reference
from hack.images.builder import BuiltImage
from tests.kube import Kube, Object
from tests.served import Served, serve
from training import MODELS, recipes
from training.verify import verify
from triton_operator.sdk import Protocol

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = EXAMPLES / "all-models.yaml"
TEXTS = {
    "chinese_texts": ["我爱你", "你好呀"],
    "token_tagger": ["Anna meets Li in Berlin"],
    "bert_texts": ["Hello, my dog is cute", "我爱你"],
}
"""Requests to the ensembles; the other models get rows of their test set."""
LOAD_SECONDS = 60.0
READY_SECONDS = 300.0

Example = Callable[[Path], Object]


@pytest.fixture(scope="module")
def example(images: dict[str, BuiltImage]) -> Example:
    """Return a function that reads an example and replaces its model image by the locally built one."""

    def read(file: Path) -> Object:
        body: Object = with_reference(yaml.safe_load(file.read_text()), images["models"].reference)
        return body

    return read


@pytest.fixture(scope="module")
def served(kube: Kube, example: Example) -> Iterator[Object]:
    """Serve all models in one pod."""
    body = example(ALL)
    kube.apply(body)
    kube.wait_ready(body["metadata"]["name"], READY_SECONDS)
    yield body
    kube.delete("modeldeployment", body["metadata"]["name"])


@pytest.mark.parametrize("model", sorted(MODELS))
def test_each_model_answers_like_eager_pytorch_from_its_example(
    model: str, node: RunningCluster, kube: Kube, example: Example
) -> None:
    body = example(EXAMPLES / f"{example_of(model)}.yaml")
    name = body["metadata"]["name"]
    kube.apply(body)
    try:
        kube.wait_ready(name)
        same_as_pytorch(model, node, kube, name)
    finally:
        kube.delete("modeldeployment", name)


def test_all_of_them_answer_from_one_pod(node: RunningCluster, kube: Kube, served: Object) -> None:
    name = served["metadata"]["name"]
    models = {each["name"] for each in served["spec"]["models"]}
    assert models >= set(TEXTS)
    for model in sorted(models & set(MODELS)):
        same_as_pytorch(model, node, kube, name)


@pytest.mark.timeout(300)
def test_mixed_load_for_a_minute_is_answered_without_an_error(node: RunningCluster, kube: Kube, served: Object) -> None:
    name = served["metadata"]["name"]
    requested = {
        each["name"]: rows for each in served["spec"]["models"] if (rows := rows_for(each["name"])) is not None
    }
    end = time.monotonic() + LOAD_SECONDS
    with (
        serve(node, kube, name) as deployed,
        ThreadPoolExecutor(len(requested)) as pool,
    ):
        running = {
            model: pool.submit(ask_until, end, model, rows, deployed, list(Protocol)[index % 2])
            for index, (model, rows) in enumerate(requested.items())
        }
        answers = {model: future.result() for model, future in running.items()}
    print(f"answers in {LOAD_SECONDS:.0f} s: {answers}")
    assert len(answers) >= len(TEXTS) + 6
    assert min(answers.values()) > 0, answers


def ask_until(end: float, model: str, rows: Any, deployed: Served, protocol: Protocol) -> int:
    """Send requests to one model until the end, and return the number of responses. Any error fails the test."""
    count = 0
    with deployed.client(protocol) as client:
        first = client.infer(model, rows)
        while not count or time.monotonic() < end:
            answer = client.infer(model, rows)
            for output, values in first.outputs.items():
                assert np.shape(answer.outputs[output]) == np.shape(values)
            count += 1
    return count


def rows_for(model: str) -> Any:
    """Return the request for a model; None for a step of an ensemble, which the ensemble calls."""
    if model in TEXTS:
        return TEXTS[model]
    if model not in MODELS or model.endswith("_model"):
        return None
    recipe = recipes.find(model)
    part = recipe.preprocess().test
    return {tensor.name: each[:4] for tensor, each in zip(recipe.inputs, part.arguments, strict=True)}


def same_as_pytorch(model: str, node: RunningCluster, kube: Kube, service: str) -> None:
    """Assert that the results for all rows of the test set equal PyTorch's, over both protocols."""
    with serve(node, kube, service) as deployed, deployed.http() as http, deployed.grpc() as grpc:
        report = verify(model, http, grpc)
    print("\n".join(report.lines()))
    assert set(report.differences) == {"HTTP", "gRPC"}
    assert report.passed, report.lines()


def example_of(model: str) -> str:
    """Return the name of the model's example, which is also the name of its deployment."""
    return model.removesuffix("_model").replace("_", "-")
