"""Compare a served model with the trained model, over HTTP and gRPC, on its test set.

    python -m training.verify digits --http 127.0.0.1:8000 --grpc 127.0.0.1:8001

Each output is compared with eager PyTorch on the same rows. Exit codes: 0 equal, 1 different or no response, 2 usage
error. The end-to-end tests call `verify`, which also works over TLS.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from training import MODELS, REPOSITORY, recipes, torchscript
from training.dataset import Part
from training.fit import predict
from training.recipe import Recipe
from training.workflow import model_file

_TIMEOUT_SECONDS = 60.0

Infer = Callable[..., NDArray[Any]]
"""(a batch of each input, in the order of forward()) -> the output of the server."""


@dataclass(frozen=True)
class Report:
    """The result of a comparison.

    `differences` are the largest absolute differences by protocol; `scores` are those of the outputs, by protocol and
    metric, on `rows` rows of the test set. `tolerance` is the recipe's, for each output value.
    """

    model: str
    rows: int
    differences: Mapping[str, float]
    scores: Mapping[str, Mapping[str, float]]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Return whether every output value is within the tolerance."""
        return all(each <= self.tolerance for each in self.differences.values())

    def lines(self) -> list[str]:
        """Return the result as text, one line per protocol."""
        return [
            f"{self.model} over {protocol}: {self.rows} rows, largest difference from PyTorch {difference:.2g} "
            f"({'same' if difference <= self.tolerance else 'DIFFERENT'}, tolerance {self.tolerance:g}); "
            + ", ".join(f"{name} {value:.4g}" for name, value in self.scores[protocol].items())
            for protocol, difference in self.differences.items()
        ]


def verify(
    model: str,
    http: tritonclient.http.InferenceServerClient,
    grpc: tritonclient.grpc.InferenceServerClient,
    repository: Path = REPOSITORY,
) -> Report:
    """Send the test set of `model` with both clients and compare the outputs with those of PyTorch.

    Raises tritonclient's InferenceServerException if the server returns an error, and OSError if no server listens.
    """
    recipe = recipes.find(model)
    eager = torchscript.load_eager(recipe.build, model_file(repository, model))
    clients = {
        "HTTP": _client(recipe, tritonclient.http, http.infer),
        "gRPC": _client(recipe, tritonclient.grpc, partial(grpc.infer, client_timeout=_TIMEOUT_SECONDS)),
    }
    return compare(recipe, clients, partial(predict, eager))


def verify_addresses(model: str, http: str, grpc: str) -> Report:
    """Like `verify`, for addresses `host:port` without TLS, such as those of `tritonctl run`."""
    with (
        tritonclient.http.InferenceServerClient(http, network_timeout=_TIMEOUT_SECONDS) as http_client,
        tritonclient.grpc.InferenceServerClient(grpc) as grpc_client,
    ):
        return verify(model, http_client, grpc_client)


def compare(recipe: Recipe, clients: Mapping[str, Infer], expected: Infer) -> Report:
    """Send the test set with each client, in batches of the maximum size, and compare the outputs."""
    part, size = recipe.preprocess().test, recipe.max_batch_size
    batches = [[each[start : start + size] for each in part.arguments] for start in range(0, len(part), size)]
    expected_output = np.concatenate([expected(*batch) for batch in batches])
    answers = {name: np.concatenate([infer(*batch) for batch in batches]) for name, infer in clients.items()}
    return Report(
        model=recipe.name,
        rows=len(part),
        differences={name: _largest_difference(answer, expected_output) for name, answer in answers.items()},
        scores={name: _scores(recipe, answer, expected_output, part) for name, answer in answers.items()},
        tolerance=recipe.served_tolerance,
    )


def _client(recipe: Recipe, protocol: ModuleType, infer: Callable[..., Any]) -> Infer:
    """Return the function that sends a batch over one protocol; tritonclient's modules have the same class names."""
    (output,) = recipe.outputs

    def send(*batches: NDArray[Any]) -> NDArray[Any]:
        contents = [
            protocol.InferInput(tensor.name, list(batch.shape), tensor.data_type)
            for tensor, batch in zip(recipe.inputs, batches, strict=True)
        ]
        for content, batch in zip(contents, batches, strict=True):
            content.set_data_from_numpy(batch)
        answer: NDArray[Any] = infer(recipe.name, contents).as_numpy(output.name)
        return answer

    return send


def _largest_difference(answer: NDArray[Any], expected_output: NDArray[Any]) -> float:
    """Return the largest absolute difference; infinite if the shapes differ or a value is NaN."""
    if answer.shape != expected_output.shape:
        return float("inf")
    difference = float(np.max(np.abs(answer.astype(np.float64) - expected_output)))
    return difference if np.isfinite(difference) else float("inf")


def _scores(recipe: Recipe, answer: NDArray[Any], expected_output: NDArray[Any], part: Part) -> dict[str, float]:
    """Return the scores of an output; none if its shape is wrong."""
    fits = answer.shape == expected_output.shape
    return {each.name: each.measure(answer, part.targets) if fits else float("nan") for each in recipe.metrics}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one served model, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.verify", description="Compare a served model with PyTorch."
    )
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--http", required=True, metavar="HOST:PORT", help="Triton's HTTP address")
    parser.add_argument("--grpc", required=True, metavar="HOST:PORT", help="Triton's gRPC address")
    options = parser.parse_args(arguments)
    try:
        report = verify_addresses(options.model, options.http, options.grpc)
    except (InferenceServerException, OSError) as error:
        print(f"error: no response from {options.model} at {options.http} and {options.grpc}: {error}", file=sys.stderr)
        return 1
    print("\n".join(report.lines()))
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
