"""Arguments and results of forward(): `lint` rejects what the CPU image's backend cannot serve, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.triton_backend import save
from triton_operator.cli.lint.finding import Finding
from triton_operator.cli.lint.folder import check_folder

TENSOR = "data_type: TYPE_FP32 dims: 4"
TEXT = "data_type: TYPE_STRING dims: 1"


class Same(torch.nn.Module):
    """A tensor for a tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input."""
        return x


class Sum(torch.nn.Module):
    """Two arguments."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return x + y


class Pair(torch.nn.Module):
    """Two results."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the input twice."""
        return x, x


class Texts(torch.nn.Module):
    """Texts for texts."""

    def forward(self, x: list[str]) -> list[str]:
        """Return the input."""
        return x


class Table(torch.nn.Module):
    """A dictionary."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the input by name."""
        return {"y": x}


class Tensors(torch.nn.Module):
    """A list."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the input in a list."""
        return [x]


class Nested(torch.nn.Module):
    """A tuple in a tuple."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the input three times."""
        return x, (x, x)


class Size(torch.nn.Module):
    """A number."""

    def forward(self, x: torch.Tensor) -> int:
        """Return the number of rows."""
        return x.shape[0]


class Both(NamedTuple):
    """A named tuple."""

    first: torch.Tensor
    second: torch.Tensor


class Named(torch.nn.Module):
    """A named tuple, which is a tuple."""

    def forward(self, x: torch.Tensor) -> Both:
        """Return the input twice."""
        return Both(x, x)


def _lint(module: torch.nn.Module, folder: Path, inputs: Sequence[str], outputs: Sequence[str]) -> list[Finding]:
    tensors = [*(f"input {{ {each} }}" for each in inputs), *(f"output {{ {each} }}" for each in outputs)]
    save(module, folder)
    (folder / "config.pbtxt").write_text("\n".join(['backend: "pytorch" max_batch_size: 8', *tensors]))
    return [each for each in check_folder(folder) if each.severity == "error"]


@pytest.mark.parametrize(
    ("module", "inputs", "outputs", "words"),
    [
        (Same(), [f'name: "x" {TEXT}'], [f'name: "y" {TENSOR}'], "x is TYPE_STRING, but forward() takes x as Tensor"),
        (Texts(), [f'name: "t" {TENSOR}'], [f'name: "y" {TEXT}'], "t is TYPE_FP32, but forward() takes x as List[str]"),
        (Same(), [f'name: "x" {TENSOR}'], [f'name: "y" {TEXT}'], "y is TYPE_STRING, but forward() returns Tensor"),
        (Texts(), [f'name: "x" {TEXT}'], [f'name: "y" {TENSOR}'], "y is TYPE_FP32, but forward() returns List[str]"),
        (
            Same(),
            [f'name: "x" {TENSOR}'],
            [f'name: "y" {TENSOR}', f'name: "z" {TENSOR}'],
            "has y, z, but forward() returns 1 result (Tensor)",
        ),
        (
            Pair(),
            [f'name: "x" {TENSOR}'],
            [f'name: "y__0" {TENSOR}', f'name: "z__2" {TENSOR}'],
            "has y__0, z__2, but forward() returns 2 results (Tensor, Tensor)",
        ),
        (Table(), [f'name: "x" {TENSOR}'], [f'name: "y" {TENSOR}'], "forward() returns Dict[str, Tensor] for y"),
        (Tensors(), [f'name: "x" {TENSOR}'], [f'name: "y" {TENSOR}'], "forward() returns List[Tensor] for y"),
        (
            Nested(),
            [f'name: "x" {TENSOR}'],
            [f'name: "y" {TENSOR}', f'name: "z" {TENSOR}'],
            "forward() returns Tuple[Tensor, Tensor] for z",
        ),
        (Size(), [f'name: "x" {TENSOR}'], [f'name: "y" {TENSOR}'], "forward() returns int for y"),
    ],
)
def test_what_the_backend_cannot_pass_is_an_error(
    tmp_path: Path, module: torch.nn.Module, inputs: Sequence[str], outputs: Sequence[str], words: str
) -> None:
    (found,) = _lint(module, tmp_path / "m", inputs, outputs)
    assert words in found.message


@pytest.mark.parametrize(
    ("module", "inputs", "outputs"),
    [
        (Same(), [f'name: "x" {TENSOR}'], [f'name: "y" {TENSOR}']),
        (Texts(), [f'name: "t" {TEXT}'], [f'name: "y" {TEXT}']),
        (Sum(), [f'name: "a__1" {TENSOR}', f'name: "b__0" {TENSOR}'], [f'name: "y" {TENSOR}']),
        (Pair(), [f'name: "x" {TENSOR}'], [f'name: "z__1" {TENSOR}']),
        (Nested(), [f'name: "x" {TENSOR}'], [f'name: "y" {TENSOR}']),
        (Named(), [f'name: "x" {TENSOR}'], [f'name: "y" {TENSOR}', f'name: "z" {TENSOR}']),
    ],
)
def test_what_the_backend_passes_is_accepted(
    tmp_path: Path, module: torch.nn.Module, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    assert _lint(module, tmp_path / "m", inputs, outputs) == []


@pytest.mark.parametrize(
    ("batching", "words"),
    [
        (
            'state { input_name: "y" output_name: "y" data_type: TYPE_BF16 dims: 4 }',
            "Triton does not support TYPE_BF16 for TorchScript",
        ),
        (
            'control_input { name: "y" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING } }',
            "y is TYPE_STRING, but forward() takes y as Tensor",
        ),
        ('control_input { name: "y" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT64 } }', ""),
        ('control_input { name: "y" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] } }', ""),
    ],
)
def test_states_and_controls_are_checked_like_inputs(tmp_path: Path, batching: str, words: str) -> None:
    folder = tmp_path / "m"
    save(Sum() if "control" in batching else SumOf(), folder)
    tensors = f'input {{ name: "x" {TENSOR} }} output {{ name: "z" {TENSOR} }}'
    text = f'backend: "pytorch" max_batch_size: 8 {tensors} sequence_batching {{ {batching} }}'
    (folder / "config.pbtxt").write_text(text)
    errors = [each.message for each in check_folder(folder) if each.severity == "error"]
    assert errors == ([words] if words else [])


class SumOf(torch.nn.Module):
    """A sum with its state."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum twice."""
        return x + y, x + y


@pytest.mark.parametrize(("value", "severity"), [("2", ""), ("zero", "error"), ("", "error"), ("0", "warning")])
def test_a_number_of_threads_is_an_integer(tmp_path: Path, value: str, severity: str) -> None:
    """NVIDIA's backend ignores 0, and the CPU image's rejects it."""
    folder = tmp_path / "m"
    save(Same(), folder)
    (folder / "config.pbtxt").write_text(
        f'backend: "pytorch" input {{ name: "x" {TENSOR} }} output {{ name: "y" {TENSOR} }} '
        f'parameters {{ key: "INTRA_OP_THREAD_COUNT" value {{ string_value: "{value}" }} }}'
    )
    found = [each.severity for each in check_folder(folder) if "THREAD_COUNT" in each.place]
    assert found == ([severity] if severity else [])
