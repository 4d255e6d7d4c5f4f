"""The other files of a model folder, the card and the configuration, and the comparison with a server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.inference_server import http_server
from triton_operator.export import ExportError, export_torchscript
from triton_operator.export.equivalence_check import Comparison, ExportOptions, compare, record_runs
from triton_operator.export.forward_runs import Forward
from triton_operator.export.request import name_of
from triton_operator.export.tensors import Value, rows_of
from triton_operator.triton.text.parser import parse

ROWS = torch.arange(6, dtype=torch.float32).reshape(2, 3)


class Line(nn.Module):
    """[batch, 3] -> [batch, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x)  # type: ignore[no-any-return]


class Same(nn.Module):
    """Any tensor -> the same, plus `by`."""

    def __init__(self, by: float = 0.0) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.by


def test_the_card_says_what_was_exported_and_how_it_was_checked(tmp_path: Path) -> None:
    module = Line()
    exported = export_torchscript(module, ROWS, tmp_path, name="line", max_batch_size=4, with_config=True)
    card = (tmp_path / "line" / "README.md").read_text()
    digest = hashlib.sha256(exported.path.read_bytes()).hexdigest()
    assert f"TorchScript in `1/model.pt`: {exported.path.stat().st_size:,} bytes, SHA-256 `{digest}`" in card
    assert "8 parameters; 8 values of float32." in card
    assert "| in | `INPUT__0` | FP32 [3] |\n| out | `OUTPUT__0` | FP32 [2] |" in card
    assert "Batches up to 4" in card
    assert f"- {exported.runs} runs, on the examples" in card
    assert "allowed is 1e-05" in card
    assert "- Not compared with a running server." in card
    assert "Linear(in_features=3, out_features=2, bias=True)" in card
    assert f"torch {torch.__version__.partition('+')[0]}" in card
    assert parse((tmp_path / "line" / "config.pbtxt").read_text())["max_batch_size"] == [4]


def test_the_same_export_writes_the_same_card_and_leaves_that_of_somebody_else(tmp_path: Path) -> None:
    module, path = Line(), tmp_path / "line" / "README.md"
    export_torchscript(module, ROWS, tmp_path, name="line")
    first = path.read_text()
    export_torchscript(module, ROWS, tmp_path, name="line")
    assert path.read_text() == first
    path.write_text("# My model\n")
    export_torchscript(module, ROWS, tmp_path, name="line")
    assert path.read_text() == "# My model\n"


def check(
    module: Forward,
    compiled: Forward,
    examples: Sequence[Sequence[Value]],
    options: ExportOptions,
    arguments: Sequence[str],
) -> Comparison:
    """Compare `compiled` with the module, as an export does."""
    recorded = record_runs(module, examples, options, arguments)
    return Comparison(recorded.signature, compare(recorded, compiled, options), recorded.runs)


def test_inputs_of_other_sizes_are_generated(tmp_path: Path) -> None:
    """One row, three rows and the maximum; integers stay within the range of the example."""
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def answer(x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        calls.append((x, ids))
        return x

    ids = torch.tensor([[7, 8], [9, 7]])
    options = ExportOptions("line", max_batch_size=4)
    comparison = check(lambda x, _: x, answer, [(ROWS, ids)], options, ["x", "ids"])
    sizes = [2, 1, 3, 4]
    assert [len(x) for x, _ in calls] == sizes + [1] * sum(sizes)  # Each row of them is asked alone, too.
    assert len(comparison.runs) == len(calls)
    assert all(set(each.flatten().tolist()) <= {7, 8, 9} for _, each in calls)
    assert not torch.equal(calls[3][0][0], ROWS[0])


def test_a_form_that_differs_only_for_other_values_is_rejected() -> None:
    """The example alone would not reveal it."""
    with pytest.raises(ExportError, match="compiled module differ by"):
        check(lambda x: x, lambda x: x.clamp(max=5.0), [(ROWS,)], ExportOptions("line", max_batch_size=8), ["x"])


def test_generated_inputs_that_the_module_rejects_are_skipped() -> None:
    """A generated number may be an invalid index."""
    table = torch.arange(6)

    def look_up(x: torch.Tensor) -> torch.Tensor:
        return table[x.long()]

    comparison = check(look_up, look_up, [(ROWS,)], ExportOptions("line", max_batch_size=64), ["x"])
    sizes = [rows_of(each.arguments[0]) for each in comparison.runs]
    assert 1 <= sum(size > 1 for size in sizes) < 3


@pytest.mark.parametrize(("scale", "passes"), [(1e6, True), (1.0, False)])
def test_the_tolerance_of_large_values_is_relative(scale: float, passes: bool) -> None:
    """The precision of a float32 of a million is about a twentieth."""
    examples = [(torch.tensor([2.0, 3.0]) * scale,)]

    def compare_both() -> Comparison:
        return check(lambda x: x, lambda x: x + 0.125, examples, ExportOptions("line"), ["x"])

    if passes:
        assert 0 < compare_both().difference <= 1e-5
    else:
        with pytest.raises(ExportError, match=r"by 0\.0\d+, and 1e-05 is allowed"):
            compare_both()


def test_a_server_receives_the_same_inputs(tmp_path: Path) -> None:
    """The test server echoes, so only the identity model matches; the card reports the result."""
    with http_server() as address:
        exported = export_torchscript(Same(), ROWS, tmp_path, name="digits", max_batch_size=4, url=address)
        assert exported.served == 0.0
        assert "sent to Triton over HTTP: outputs within 0 " in (tmp_path / "digits" / "README.md").read_text()
        with pytest.raises(
            ExportError,
            match=r"outputs of the server at .* differ by \d.*serves the echo that was just",
        ):
            export_torchscript(Same(1.0), ROWS, tmp_path, name="echo", max_batch_size=4, url=address)
    assert "Not compared with a running server" in (tmp_path / "echo" / "README.md").read_text()
    with pytest.raises(ExportError, match=f"inference with digits at {address} failed"):
        export_torchscript(Same(), ROWS, tmp_path, name="digits", max_batch_size=4, url=address)


@pytest.mark.parametrize(
    ("path", "name"),
    [("digits.pt", "digits"), ("a/digits/1/model.pt", "digits"), ("digits/3/model.py", "digits"), ("net.py", "net")],
)
def test_a_name_comes_from_the_file_or_the_folder(path: str, name: str) -> None:
    assert name_of(Path(path)) == name


@pytest.mark.parametrize("path", ["model.pt", "1/model.pt", "/model.pt", "digits/model.pt"])
def test_the_stem_model_is_not_a_name(path: str) -> None:
    """Every file in a repository has this stem."""
    with pytest.raises(ExportError, match="does not contain a model name"):
        name_of(Path(path))
