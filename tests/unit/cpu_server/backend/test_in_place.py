"""A model that changes its inputs, its state or its last output in place answers each client as if it were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.triton_backend import Request, Tensor, ask, load, numbers, put, save, serve

modules = load()
backend, trial = modules["model"], modules["trial"]
CONFIG = {"name": "m", "max_batch_size": 8, "input": [put("x", "FP32", 2)], "output": [put("y", "FP32", 2)]}


class Added(torch.nn.Module):
    """Adds to its input in place; it rejects zeros, so the first request is tried for the number of rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add one."""
        assert bool(x.sum() != 0)
        return x.add_(1.0)


class Reused(torch.nn.Module):
    """Returns rows of the same buffer at each call, from a position that looks as if it depended on the values."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.zeros(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Write to the buffer."""
        self.rows[: x.shape[0]].copy_(x * 2)
        return self.rows[int((x * 0).sum().item()) : x.shape[0]]


class Running(torch.nn.Module):
    """Adds to its state in place, and fails for a negative number afterwards."""

    def forward(self, x: torch.Tensor, so_far: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum of a sequence."""
        so_far.add_(x)
        assert bool((x >= 0).all())
        return so_far, so_far


class Normalized(torch.nn.Module):
    """Normalizes images in place before a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        return self.convolution(x.sub_(0.5).div_(0.25))  # type: ignore[no-any-return]


def _serve(module: torch.nn.Module, folder: Path, config: dict[str, Any]) -> Any:
    save(module, folder)
    return serve(backend, folder, config)


def test_a_trial_does_not_change_the_first_request(tmp_path: Path) -> None:
    """The trial runs before the request itself."""
    model = _serve(Added(), tmp_path, CONFIG)
    answers = ask(model, [numbers("x", [[1.0, 1.0]])], [numbers("x", [[5.0, 5.0]])])
    assert [each.values("y") for each in answers] == [[[2.0, 2.0]], [[6.0, 6.0]]]


def test_requests_that_run_one_by_one_do_not_share_an_output(tmp_path: Path) -> None:
    """Triton reads the outputs of all requests after the last one has run."""
    model = _serve(Reused(), tmp_path, CONFIG)
    answers = ask(model, *([numbers("x", [[number, number]])] for number in (1.0, 5.0, 7.0)))
    assert [each.values("y") for each in answers] == [[[2.0, 2.0]], [[10.0, 10.0]], [[14.0, 14.0]]]


def test_a_failed_request_does_not_change_the_state_of_its_sequence(tmp_path: Path) -> None:
    """The model changed its copy before it failed."""
    state = {"input_name": "so_far", "output_name": "sum", "data_type": "TYPE_FP32", "dims": ["1"]}
    config = {
        "name": "m",
        "max_batch_size": 0,
        "input": [put("x", "FP32", 1)],
        "output": [put("y", "FP32", 1)],
        "sequence_batching": {"state": [state]},
    }
    model = _serve(Running(), tmp_path, config)

    def send(number: float, *, start: bool = False) -> Any:
        tensors: list[Tensor] = [numbers("x", [number])]
        (answer,) = ask(model, Request(tensors, 1, start=start))
        return answer

    assert send(2.0, start=True).values("y") == [2.0]
    assert send(-50.0).error is not None
    assert send(3.0).values("y") == [5.0]


def test_a_module_that_changes_its_input_is_optimised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The forms are tried with equal inputs."""
    config = {**CONFIG, "input": [put("x", "FP32", 1, 8, 8)], "output": [put("y", "FP32", 2, 6, 6)]}
    _serve(Normalized(), tmp_path, config)
    assert capsys.readouterr().err == ""
