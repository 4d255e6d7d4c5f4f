"""A hundred concurrent callers of all models of examples/all-models.yaml, each with its own request and protocol.

Input: the addresses of a server. Output: the responses to each caller. gRPC calls have no deadline, because Triton
24.10 crashes when a call is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
import yaml
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

from tests.local.session import Serving
from training import MODELS as TRAINED
from training import recipes

_EXAMPLE = Path(__file__).parents[2] / "examples" / "all-models.yaml"
MODELS = tuple(each["name"] for each in yaml.safe_load(_EXAMPLE.read_text())["spec"]["models"])
CALLERS = 100
ROUNDS = 5
_NAMES = ("Anna", "Li", "Berlin", "我爱你", "你好呀", "Hello", "dog", "cute", "meets", "Wang", "Paris")

Answer = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class CallerRequest:
    """The request of a caller."""

    model: str
    inputs: Answer


def caller_requests() -> list[CallerRequest]:
    """One request per caller: every model in turn, with different rows, and one more row in each round."""
    return [
        CallerRequest(MODELS[index % len(MODELS)], _inputs(MODELS[index % len(MODELS)], index))
        for index in range(CALLERS)
    ]


def answers(serving: Serving, requests: list[CallerRequest]) -> tuple[list[Answer], list[list[Answer]]]:
    """Send each request alone, then all concurrently, several times; return the responses to each caller."""
    with ThreadPoolExecutor(CALLERS) as pool:
        alone = [_ask(serving, index, request) for index, request in enumerate(requests)]
        together = Barrier(CALLERS)
        results = pool.map(lambda index: _ask_often(serving, index, requests[index], together), range(len(requests)))
        return alone, list(results)


def _ask(serving: Serving, index: int, request: CallerRequest) -> Answer:
    with _caller(serving, index) as ask:
        return ask(request)


def _ask_often(serving: Serving, index: int, request: CallerRequest, together: Barrier) -> list[Answer]:
    with _caller(serving, index) as ask:
        together.wait()
        return [ask(request) for _ in range(ROUNDS)]


@contextmanager
def _caller(serving: Serving, index: int) -> Iterator[Callable[[CallerRequest], Answer]]:
    """The protocol alternates between rounds of the models, so that each model is called over both."""
    over_grpc = (index + index // len(MODELS)) % 2
    protocol: Any = tritonclient.grpc if over_grpc else tritonclient.http
    with protocol.InferenceServerClient(serving.grpc if over_grpc else serving.http) as client:

        def ask(request: CallerRequest) -> Answer:
            sent = []
            for name, array in request.inputs.items():
                tensor = protocol.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
                tensor.set_data_from_numpy(array)
                sent.append(tensor)
            answer = client.infer(request.model, sent)
            response = answer.get_response()
            names = (
                [each.name for each in response.outputs]
                if over_grpc
                else [each["name"] for each in response["outputs"]]
            )
            return {name: answer.as_numpy(name) for name in names}

        yield ask


def _inputs(model: str, index: int) -> Answer:
    """Rows that no other caller sends; one more in each round of the models."""
    rows = 1 + index // len(MODELS)
    if model in TRAINED:
        recipe = recipes.find(model)
        part = recipe.preprocess().test
        places = (np.arange(rows) * CALLERS + index) % len(part)
        return {tensor.name: each[places] for tensor, each in zip(recipe.inputs, part.arguments, strict=True)}
    random = np.random.default_rng(index)
    if model == "feeling_labels":
        return {"SCORES": random.normal(size=(rows, 2)).astype(np.float32)}
    if model == "entity_labels":
        tokens = random.choice(_NAMES, (rows, 24)).astype(object)
        return {"SCORES": random.normal(size=(rows, 24, 4)).astype(np.float32), "TOKENS": tokens}
    return {"TEXT": np.array([[" ".join(random.choice(_NAMES, 4))] for _ in range(rows)], dtype=object)}
