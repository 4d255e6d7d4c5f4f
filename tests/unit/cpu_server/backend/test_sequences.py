"""Sequences, their states and ragged batches: tensors that Triton adds to the inputs of clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.triton_backend import Request, ask, load, numbers, put, save, serve
from triton_operator.triton.config.filled_tensors import filled_inputs, kept_outputs
from triton_operator.triton.text.parser import parse

modules = load()
backend = modules["model"]


class Sum(torch.nn.Module):
    """Adds up the values of a sequence; the sum so far is its state."""

    def forward(self, x: torch.Tensor, start: torch.Tensor, so_far: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add; a start counts ten times to show that the control arrived."""
        if bool((x < 0).any()):
            raise ValueError("negative input")
        total = so_far + x * (1 + 9 * start)
        return total, total


class Lengths(torch.nn.Module):
    """Sums up requests of different lengths, which are concatenated to one row."""

    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Give each request's sum."""
        sums = torch.cumsum(x, 0)[ends.long() - 1]
        return torch.diff(sums, prepend=torch.zeros(1)).unsqueeze(1)


class Scatter(torch.nn.Module):
    """Returns one row of numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Double them."""
        return x * 2


SEQUENCE = {
    "control_input": [
        {"name": "START__1", "control": [{"kind": "CONTROL_SEQUENCE_START", "int32_false_true": [0, 1]}]}
    ],
    "state": [{"input_name": "STATE__2", "output_name": "STATE__1", "data_type": "TYPE_FP32", "dims": ["1"]}],
    "oldest": {"max_candidate_sequences": 2},
}


def summing(tmp_path: Path, batch: int = 8, **changed: Any) -> Any:
    """Serve `Sum`."""
    save(Sum(), tmp_path)
    model_config = {"name": "sum", "max_batch_size": batch, "sequence_batching": SEQUENCE | changed}
    inputs, outputs = [put("X__0", "FP32", 1)], [put("Y__0", "FP32", 1)]
    return serve(backend, tmp_path, {**model_config, "input": inputs, "output": outputs})


def step(value: float, sequence: int, *, start: bool = False, end: bool = False, batched: bool = True) -> Request:
    """A request as Triton passes it: with the control, and with the initial state."""
    wrap: Any = (lambda inner: [inner]) if batched else (lambda inner: inner)
    tensors = [
        numbers("X__0", wrap([value])),
        numbers("START__1", wrap([int(start)]), torch.int32),
        numbers("STATE__2", wrap([77.0])),  # What lies in memory where the config names no initial state.
    ]
    return Request(tensors, sequence, start=start, end=end)


def test_a_sequence_continues_with_its_state(tmp_path: Path) -> None:
    """Two sequences in one batch, in either order; states are separate, and are not outputs of the response."""
    model = summing(tmp_path)
    first = ask(model, step(1, 5, start=True), step(2, 6, start=True))
    assert [answer.values("Y__0") for answer in first] == [[[10]], [[20]]]
    assert [tensor.name for tensor in first[0].output_tensors] == ["Y__0"]
    second = ask(model, step(2, 6), step(1, 5))
    assert [answer.values("Y__0") for answer in second] == [[[22]], [[11]]]


def test_a_sequence_without_batching_keeps_its_state(tmp_path: Path) -> None:
    """Like one with batching."""
    model = summing(tmp_path, batch=0)
    answers = [ask(model, step(1, 5, start=start, batched=False))[0].values("Y__0") for start in (True, False, False)]
    assert answers == [[10], [11], [12]]


def test_a_sequence_starts_again(tmp_path: Path) -> None:
    """After its end, or with a second start."""
    model = summing(tmp_path)
    ask(model, step(1, 5, start=True), step(1, 6, start=True))
    ask(model, step(1, 5, end=True))
    assert ask(model, step(3, 5, start=True))[0].values("Y__0") == [[30]]
    assert ask(model, step(4, 6, start=True))[0].values("Y__0") == [[40]]


def test_an_initial_state_is_taken_from_triton(tmp_path: Path) -> None:
    """Triton has read the file or created zeros."""
    state = SEQUENCE["state"][0] | {"initial_state": [{"name": "file", "data_type": "TYPE_FP32", "dims": ["1"]}]}  # type: ignore[index]
    model = summing(tmp_path, state=[state])
    assert ask(model, step(1, 5, start=True))[0].values("Y__0") == [[87]]


def test_a_request_that_fails_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    """Its own state, and those of the other requests in the batch."""
    model = summing(tmp_path)
    ask(model, step(1, 5, start=True), step(1, 6, start=True))
    bad, good = ask(model, step(-1, 5), step(1, 6))
    assert bad.error
    assert good.values("Y__0") == [[11]]
    assert ask(model, step(1, 5))[0].values("Y__0") == [[11]]


def test_a_sequence_whose_start_failed_must_start_again(tmp_path: Path) -> None:
    """The error tells the caller to do so."""
    model = summing(tmp_path)
    ask(model, step(-1, 5, start=True))
    (answer,) = ask(model, step(1, 5))
    assert answer.error
    assert (answer.error.code, answer.error.message) == (
        "INVALID_ARG",
        "sequence 5 has no state, because its first request failed: start it again",
    )


def test_states_do_not_pile_up(tmp_path: Path) -> None:
    """Triton drops an idle sequence without notifying the model; here, at most two are active."""
    model = summing(tmp_path)
    for sequence in range(1, 50):
        ask(model, step(1, sequence, start=True))
    assert ask(model, step(1, 49))[0].values("Y__0") == [[11]]
    assert ask(model, step(1, 48))[0].values("Y__0") == [[11]]
    assert len(model._sequences._states) == 2


def test_an_empty_slot_of_a_direct_batch_disturbs_nobody(tmp_path: Path) -> None:
    """Triton fills it with a request of sequence 0."""
    model = summing(tmp_path, oldest=None, direct={})
    ask(model, step(1, 5, start=True), step(2, 6, start=True))
    _, second = ask(model, step(0, 0), step(2, 6))
    assert second.values("Y__0") == [[22]]
    assert ask(model, step(1, 5))[0].values("Y__0") == [[11]]


def test_a_warm_up_without_control_and_state_gets_zeros(tmp_path: Path) -> None:
    """Triton sends the inputs in model_warmup, which may omit both."""
    model = summing(tmp_path)
    assert ask(model, [numbers("X__0", [[3.0]])])[0].values("Y__0") == [[3]]


class Remembering(torch.nn.Module):
    """Keeps a sum for each slot of the batch in an attribute, as models for direct sequence batching do."""

    def __init__(self) -> None:
        super().__init__()
        self.sums = torch.zeros(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add up."""
        if bool((x < 0).any()):
            raise ValueError("negative input")
        self.sums[: x.size(0)] += x
        return self.sums[: x.size(0)].clone()


def test_a_model_that_remembers_by_slot_runs_once_for_each_batch(tmp_path: Path) -> None:
    """It is never tried, and a failed batch is not repeated one by one, because it would count twice."""
    save(Remembering(), tmp_path)
    model_config = {"name": "slots", "max_batch_size": 2, "sequence_batching": {"direct": {}}}
    config = {**model_config, "input": [put("x", "FP32", 1)], "output": [put("y", "FP32", 1)]}
    model = serve(backend, tmp_path, config)

    def both(one: float, two: float) -> list[Any]:
        return ask(model, *(Request([numbers("x", [[each]])], slot + 1) for slot, each in enumerate((one, two))))

    assert [answer.values("y") for answer in both(1, 2)] == [[[1]], [[2]]]
    assert all(answer.error for answer in both(-1, 5))
    assert [answer.values("y") for answer in both(1, 2)] == [[[2]], [[4]]]


def ragged(tmp_path: Path, kind: str = "BATCH_ACCUMULATED_ELEMENT_COUNT") -> Any:
    """Serve `Lengths`."""
    save(Lengths(), tmp_path)
    counts = {"kind": kind, "target_name": ["ends"], "data_type": "TYPE_INT32", "source_input": ["x"]}
    inputs, outputs = [put("x", "FP32", -1) | {"allow_ragged_batch": True}], [put("y", "FP32", 1)]
    model_config = {"name": "lengths", "max_batch_size": 8, "input": inputs, "output": outputs, "batch_input": [counts]}
    return serve(backend, tmp_path, model_config)


def test_requests_of_different_lengths_run_as_one(tmp_path: Path) -> None:
    """The model gets one row of numbers and the end of each request."""
    model = ragged(tmp_path)
    calls: list[list[int]] = []
    run = model._module

    def seen(x: torch.Tensor, ends: torch.Tensor) -> Any:
        calls.append(ends.tolist())
        return run(x, ends)

    model._module = seen
    sent = [[1.0], [2.0, 3.0], [4.0, 5.0, 6.0]]
    answers = ask(model, *([numbers("x", [each])] for each in sent))
    assert [answer.values("y") for answer in answers] == [[[1]], [[5]], [[15]]]
    assert ask(model, [numbers("x", [[7.0, 1.0]])])[0].values("y") == [[8]]
    assert [1, 3, 6] in calls


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("BATCH_ELEMENT_COUNT", [6, 2]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT", [6, 8]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", [0, 6, 8]),
        ("BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", [0] * 6),
        ("BATCH_ITEM_SHAPE", [[3, 1], [3, 1], [2, 1]]),
        ("BATCH_ITEM_SHAPE_FLATTEN", [3, 1, 3, 1, 2, 1]),
    ],
)
def test_counts_are_those_of_tritons_library(kind: str, expected: list[Any]) -> None:
    """Two rows of three elements, one row of two."""
    entry = modules["tensor_specs"].ModelTensor("n", "INT32", (), kind=kind, source="x")
    tensor = modules["ragged"].batch_input_tensor(entry, [(2, 3, 1), (1, 2, 1)])
    assert (tensor.tolist(), tensor.dtype) == (expected, torch.int32)


def test_an_output_is_cut_by_the_shapes_of_an_input(tmp_path: Path) -> None:
    """BATCH_SCATTER_WITH_INPUT_SHAPE."""
    save(Scatter(), tmp_path)
    inputs, outputs = [put("x", "FP32", -1) | {"allow_ragged_batch": True}], [put("y", "FP32", -1)]
    cut = {"kind": "BATCH_SCATTER_WITH_INPUT_SHAPE", "target_name": ["y"], "source_input": ["x"]}
    model_config = {"name": "cut", "max_batch_size": 8, "input": inputs, "output": outputs, "batch_output": [cut]}
    model = serve(backend, tmp_path, model_config)
    answers = ask(model, [numbers("x", [[1.0, 2.0]])], [numbers("x", [[3.0]])])
    assert [answer.values("y") for answer in answers] == [[[2, 4]], [[6]]]


def test_the_backend_and_lint_count_the_same_arguments() -> None:
    """Each reads its own form of a config: Triton's JSON, and the text."""
    config: dict[str, Any] = {
        "input": [put("X__0", "FP32", 1)],
        "output": [put("Y__0", "FP32", 1)],
        "sequence_batching": SEQUENCE,
        "batch_input": [
            {
                "kind": "BATCH_ELEMENT_COUNT",
                "target_name": ["N__3"],
                "data_type": "TYPE_INT32",
                "source_input": ["X__0"],
            }
        ],
    }
    message = parse("""
    sequence_batching {
      oldest { max_candidate_sequences: 2 }
      control_input { name: "START__1" control { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] } }
      state { input_name: "STATE__2" output_name: "STATE__1" data_type: TYPE_FP32 dims: 1 }
    }
    batch_input { kind: BATCH_ELEMENT_COUNT target_name: "N__3" data_type: TYPE_INT32 source_input: "X__0" }
    """)
    argument = modules["interface"].Argument
    interface = modules["interface"].read_interface(config, [argument(f"a{place}") for place in range(4)])
    assert tuple(entry.name for entry in interface.inputs[1:]) == filled_inputs(message)
    assert tuple(entry.name for entry in interface.outputs[1:]) == kept_outputs(message)
    assert [interface.inputs[index].name for index in interface.order] == ["X__0", "START__1", "STATE__2", "N__3"]
