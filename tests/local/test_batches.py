"""The CPU backend in a real Triton: dynamic and ragged batching, sequences, and warm-up."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from tritonclient import http
from tritonclient.utils import InferenceServerException

from tests.local.session import Serving, User
from tests.triton_backend import save

pytestmark = pytest.mark.timeout(900)  # The first test may download the server.
CALLERS = 8


class Boxes(torch.nn.Module):
    """Returns a row for each detected box."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the boxes with a score above 0.5."""
        return x[x[:, :, 0] > 0.5]


class Sum(torch.nn.Module):
    """Adds up the values of a sequence; the sum so far is its state."""

    def forward(self, x: torch.Tensor, start: torch.Tensor, so_far: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a value; the first one counts ten times, which shows that the control input was sent."""
        total = so_far + x * (1 + 9 * start)
        return total, total


class Lengths(torch.nn.Module):
    """Adds up requests of different lengths, which are concatenated to one row."""

    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Return the sum of each request."""
        sums = torch.cumsum(x, 0).index_select(0, ends.long() - 1)
        return torch.diff(sums, prepend=torch.zeros(1)).unsqueeze(1)


SEQUENCE = """
  control_input { name: "START__1" control { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] } }
  state { input_name: "STATE__2" output_name: "STATE__1" data_type: TYPE_FP32 dims: 1 }
"""
SUM = """
backend: "pytorch" max_batch_size: 4
input { name: "X__0" data_type: TYPE_FP32 dims: 1 }
output { name: "Y__0" data_type: TYPE_FP32 dims: 1 }
"""
MODELS = {
    "boxes": (
        Boxes(),
        """
        backend: "pytorch" max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 20000 }
        input { name: "x" data_type: TYPE_FP32 dims: [-1, 5] }
        output { name: "y" data_type: TYPE_FP32 dims: 5 }
        """,
    ),
    "sum_oldest": (Sum(), f"{SUM} sequence_batching {{ oldest {{ max_candidate_sequences: 4 }} {SEQUENCE} }}"),
    "sum_direct": (Sum(), f"{SUM} sequence_batching {{ direct {{ }} {SEQUENCE} }}"),
    "lengths": (
        Lengths(),
        """
        backend: "pytorch" max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 20000 }
        input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
        batch_input {
          kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "ends" data_type: TYPE_INT32 source_input: "x"
        }
        output { name: "y" data_type: TYPE_FP32 dims: 1 }
        """,
    ),
    "unbatched": (
        torch.nn.Conv2d(1, 2, 3),
        """
        backend: "pytorch"
        input { name: "x" data_type: TYPE_FP32 dims: [1, 5, 5] }
        output { name: "y" data_type: TYPE_FP32 dims: [2, 3, 3] }
        """,
    ),
}


@pytest.fixture(scope="module")
def server(user: User, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Serve all models."""
    folder = tmp_path_factory.mktemp("batches")
    for name, (module, config) in MODELS.items():
        save(module, folder / name)
        (folder / name / "config.pbtxt").write_text(config)
    with user.serving(folder) as serving:
        yield serving


def infer(client: Any, model: str, name: str, values: Any, **options: Any) -> np.ndarray:
    """Send one tensor and return the first output."""
    array = np.array(values, np.float32)
    tensor = http.InferInput(name, list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    answer = client.infer(model, [tensor], **options)
    return np.asarray(answer.as_numpy(answer.get_response()["outputs"][0]["name"]))


def test_no_caller_gets_the_boxes_of_another(server: Serving) -> None:
    """A batch of requests with two boxes and with none can have as many rows as requests; each caller gets an error."""
    sent = [[[[score, caller, 1, 1, 1]] * 2] for caller, score in enumerate((0.9, 0.1) * (CALLERS // 2))]

    def ask(values: Any) -> str:
        with http.InferenceServerClient(server.http) as client:
            try:
                return f"answered: {infer(client, 'boxes', 'x', values).tolist()}"
            except InferenceServerException as error:
                return str(error.message())

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [each for _ in range(10) for each in pool.map(ask, sent)]
    assert [each for each in answers if "rows, but the inputs have 1: with max_batch_size" not in each] == []


@pytest.mark.parametrize("model", ["sum_oldest", "sum_direct"])
def test_sequences_keep_their_states_side_by_side(server: Serving, model: str) -> None:
    """There are more callers than slots; each uses its sequence ID for two successive sequences."""

    def follow(sequence: int) -> list[float]:
        with http.InferenceServerClient(server.http) as client:
            return [
                float(
                    infer(
                        client,
                        model,
                        "X__0",
                        [[sequence]],
                        sequence_id=sequence,
                        sequence_start=step in {0, 5},
                        sequence_end=step in {4, 9},
                    )[0, 0]
                )
                for step in range(10)
            ]

    numbers = range(1, CALLERS + 1)
    with ThreadPoolExecutor(CALLERS) as pool:
        results = list(pool.map(follow, numbers))
    assert results == [[number * (10 + step % 5) for step in range(10)] for number in numbers]


def test_requests_of_different_lengths_are_joined_and_parted(server: Serving) -> None:
    """Each caller receives the sum of its request."""

    def ask(length: int) -> float:
        with http.InferenceServerClient(server.http) as client:
            return float(infer(client, "lengths", "x", [list(range(1, length + 1))])[0, 0])

    lengths = [*range(1, CALLERS + 1)] * 5
    with ThreadPoolExecutor(CALLERS) as pool:
        assert list(pool.map(ask, lengths)) == [length * (length + 1) / 2 for length in lengths]


def test_a_convolution_without_a_batch_answers(server: Serving) -> None:
    """Formerly, each request failed. Now the model runs without an optimisation, and the server's log reports this."""
    picture = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(0))
    with http.InferenceServerClient(server.http) as client:
        answer = infer(client, "unbatched", "x", picture.numpy())
    network = MODELS["unbatched"][0]
    np.testing.assert_allclose(answer, network(picture).detach().numpy(), atol=1e-5)
