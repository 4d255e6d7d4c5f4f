"""Independence of the rows of a batch: other modules are rejected with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from triton_operator.export import ExportError, export_torchscript
from triton_operator.export.exporter import deprecation_known
from triton_operator.export.folder import Destination
from triton_operator.export.request import ExportRequest
from triton_operator.export.source import run
from triton_operator.triton.model_file.signature import TensorSpec

ROWS = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7


class Boxes(nn.Module):
    """One row for each detected box of [batch, boxes, 5]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x[:, :, 0] > 0.5]


class Traced(nn.Module):
    """Any function of a tensor, for tracing."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.dense = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.dense)  # type: ignore[no-any-return]


INFLUENCES: dict[str, Any] = {
    "the largest of all": lambda x, dense: dense(x / x.abs().max()),
    "softmax over rows": lambda x, _: x.softmax(0),
    "log-softmax over rows": lambda x, _: x.log_softmax(0),
    "sorted rows": lambda x, _: x.sort(0).values,
    "ranks": lambda x, _: x.argsort(0).float(),
    "running sum": lambda x, _: x.cumsum(0),
    "mean of all": lambda x, _: x - x.mean(),
    "deviation over rows": lambda x, _: x / (x.std(0, correction=0) + 1),
    "rolled rows": lambda x, _: x.roll(1, 0),
    "turned rows": lambda x, _: x.flip(0),
    "norm of the whole": lambda x, _: functional.normalize(x.flatten(), dim=0).reshape(x.shape),
    "layer norm over all": lambda x, _: (x - x.mean()) / x.std(),
    "attention between rows": lambda x, _: (x @ x.T).softmax(1) @ x,
    "products of rows": lambda x, _: x @ x.T,
    "place in the batch": lambda x, _: x + torch.arange(x.shape[0])[:, None],
    "size of the batch": lambda x, _: x * x.shape[0],
    "little of the sum": lambda x, _: x + 1e-6 * x.sum(0, keepdim=True),
    "only when large": lambda x, _: x + (x.abs().max() > 100).float(),
    "only when small": lambda x, _: x + ((x.abs() < 1e-3).sum() > 3).float() * 2,
    "only when undefined": lambda x, _: x.nan_to_num() + x.isnan().any().float(),
    "only when infinite": lambda x, _: torch.where(x.isinf().any(), torch.zeros_like(x), x),
    "only when a row is zero": lambda x, _: x + (x.abs().sum(1) == 0).any().float(),
    "largest of the batch is marked": lambda x, _: (x == x.max(0, keepdim=True).values).float(),
    "all ones when one is": lambda x, _: (x > 1).any(0, keepdim=True) & (x > 0),
    "median of the batch": lambda x, _: x - x.median(0, keepdim=True).values,
    "first row": lambda x, _: x - x[:1],
    "last row": lambda x, _: x - x[-1:],
}

INDEPENDENT: dict[str, Any] = {
    "linear": lambda x, dense: dense(x),
    "softmax in a row": lambda x, _: x.softmax(1),
    "sorted in a row": lambda x, _: x.sort(1).values,
    "largest of a row": lambda x, dense: dense(x / x.abs().amax(1, keepdim=True)),
    "class of a row": lambda x, dense: dense(x).argmax(1),
    "layer norm": lambda x, _: functional.layer_norm(x, (4,)),
    "undefined": lambda x, _: (x - 1).log(),
    "large": lambda x, dense: dense(x * 1e6).exp(),
}


def _export(function: Any, folder: Path, **options: Any) -> Any:
    torch.manual_seed(0)
    return export_torchscript(Traced(function), ROWS, folder, name="rows", max_batch_size=8, trace=True, **options)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("what", INFLUENCES)
def test_rows_that_influence_each_other_are_refused(tmp_path: Path, what: str) -> None:
    """The message has the output and the difference, and nothing is written."""
    with pytest.raises(ExportError, match=r"influence each other: output OUTPUT__0 .*max_batch_size") as caught:
        _export(INFLUENCES[what], tmp_path)
    assert "of one row differs " in str(caught.value)
    assert "1e-05 is allowed" in str(caught.value)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("what", ["the largest of all", "mean of all", "running sum"])
def test_the_same_module_is_exported_without_a_batch(tmp_path: Path, what: str) -> None:
    """With a maximum of 0, or of one row."""
    torch.manual_seed(0)
    module = Traced(INFLUENCES[what])
    for batch in (0, 1):
        exported = export_torchscript(module, ROWS, tmp_path, name=f"rows{batch}", max_batch_size=batch, trace=True)
        assert exported.signature.max_batch_size == batch


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("what", INDEPENDENT)
def test_independent_rows_pass_whatever_their_kernels_round(tmp_path: Path, what: str) -> None:
    assert _export(INDEPENDENT[what], tmp_path).signature.max_batch_size == 8


def test_a_deep_network_passes_though_its_kernels_round_differently(tmp_path: Path) -> None:
    """In float64 the difference disappears, so rows do not influence each other."""
    torch.manual_seed(0)
    layers = [layer for _ in range(12) for layer in (nn.Linear(256, 256), nn.ReLU())]
    module = nn.Sequential(nn.Linear(4, 256), *layers)
    for layer in module:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.15)
    assert export_torchscript(module, ROWS, tmp_path, name="deep", max_batch_size=8).signature.max_batch_size == 8


WHOLE: dict[str, Any] = {
    "the largest of all": lambda ids: ids.float() / ids.max().clamp_min(1),
    "largest are marked": lambda ids: (ids == ids.max()).long(),
    "classes by the largest": functional.one_hot,
    "smallest of all": lambda ids: ids - ids.min(),
    "rows that are there twice": lambda ids: ((ids[None] == ids[:, None]).all(-1).sum(1, keepdim=True) > 1) | (ids > 5),
    "any of all": lambda ids: (ids > 1).any() | (ids > 0),
}


class Whole(nn.Module):
    """Any function of integers."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.function(ids)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("what", WHOLE)
def test_rows_of_integers_that_influence_each_other_are_rejected(tmp_path: Path, what: str) -> None:
    """The example has only 0 and 1, as the command line generates them."""
    example = torch.tensor([[0, 1, 1, 0], [1, 0, 1, 1]])
    with pytest.raises(ExportError, match="influence each other"):
        export_torchscript(Whole(WHOLE[what]), example, tmp_path, name="whole", max_batch_size=8, trace=True)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_one_row_per_detected_object_is_not_a_batch(tmp_path: Path, share: float) -> None:
    """The first dimension of such an output does not correspond to callers."""
    example = torch.full((2, 6, 5), share)
    with pytest.raises(
        ExportError, match=r"the first dimension of every input and output is the batch.*OUTPUT__0 has shape"
    ):
        export_torchscript(Boxes(), example, tmp_path, name="boxes", max_batch_size=8)
    assert list(tmp_path.rglob("*")) == []


def test_as_many_rows_by_chance_are_no_batch_either(tmp_path: Path) -> None:
    """The example has one box in each image."""
    example = torch.zeros(2, 6, 5)
    example[:, 3, 0] = 1
    with pytest.raises(ExportError, match="max_batch_size"):
        export_torchscript(Boxes(), example, tmp_path, name="boxes", max_batch_size=8)


def test_all_outputs_determine_which_sizes_are_variable(tmp_path: Path) -> None:
    """The example has five boxes; other inputs have more, or none."""
    example = torch.zeros(1, 6, 4)
    example[0, :5, 0] = 1
    exported = export_torchscript(Boxes(), example, tmp_path, name="boxes")
    assert exported.signature.outputs == (TensorSpec("OUTPUT__0", "FP32", (-1, 4)),)


class Found(nn.Module):
    """Positions of nonzero numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.nonzero()


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float32])
def test_a_size_that_whole_numbers_decide_is_open(tmp_path: Path, kind: torch.dtype) -> None:
    exported = export_torchscript(Found(), torch.tensor([0, 3, 3, 0, 3]).to(kind), tmp_path, name="found")
    assert exported.signature.outputs == (TensorSpec("OUTPUT__0", "INT64", (-1, 1)),)


class Squeezed(nn.Module):
    """A single row loses its dimension."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(1, keepdim=True).squeeze()


def test_a_single_row_must_keep_its_dimension(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="OUTPUT__0 has no dimensions for 1 row"):
        export_torchscript(Squeezed(), ROWS, tmp_path, name="squeezed", max_batch_size=8)


class Padded(nn.Module):
    """Text tensors as long as the longest of the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        longest = int((x > 0).sum(1).max())
        return x[:, :longest]


def test_a_length_that_the_batch_decides_is_refused(tmp_path: Path) -> None:
    example = torch.tensor([[1, 2, 0, 0], [3, 4, 5, 0]])
    with pytest.raises(ExportError, match=r"influence each other: .*in its shape"):
        export_torchscript(Padded(), example, tmp_path, name="padded", max_batch_size=8)


class Norm(nn.Module):
    """Statistics of the batch, also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x[:, None, None])[:, 0, 0]  # type: ignore[no-any-return]


def test_statistics_of_the_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"influence each other: output OUTPUT__0 of one row differs by \d"):
        export_torchscript(Norm(), ROWS, tmp_path, name="norm", max_batch_size=8)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_file_traced_in_training_is_refused(tmp_path: Path) -> None:
    """eval() does not affect a traced module."""
    path = tmp_path / "norm.pt"
    with deprecation_known():
        traced = torch.jit.trace(nn.Sequential(nn.Conv1d(4, 4, 1), nn.BatchNorm1d(4)).train(), torch.rand(3, 4, 2))  # type: ignore[no-untyped-call]
        traced.save(path)
    with pytest.raises(ExportError, match=r"influence each other: output OUTPUT__0 of one row differs by \d"):
        run(ExportRequest(str(path), ("FP32:4,2",), "norm", 8), Destination(tmp_path / "to"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_the_scale_of_dynamic_quantisation_is_named(tmp_path: Path) -> None:
    """It depends on the largest value of the batch."""
    torch.manual_seed(0)
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 8)), {nn.Linear})  # type: ignore[no-untyped-call]
    with pytest.raises(ExportError, match=r"influence each other: .*the scale of torch's dynamic quantization"):
        export_torchscript(module, ROWS, tmp_path, name="quantised", max_batch_size=8)


class TakesTwo(nn.Module):
    """Exactly two rows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[0] % 2 == 0, "pairs only"
        return x


def test_a_single_row_must_be_accepted(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"or their number is fixed: .* not row 0 of them alone.*pairs only"):
        export_torchscript(TakesTwo(), ROWS[:2], tmp_path, name="pairs", max_batch_size=8)


class Texts(nn.Module):
    """Texts, each with the preceding one."""

    def forward(self, texts: list[str]) -> list[str]:
        return [texts[i] + texts[i - 1] for i in range(len(texts))]


def test_texts_influence_each_other_too(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="influence each other: output OUTPUT__0 of one row differs in its text"):
        export_torchscript(Texts(), (["a", "b", "c"],), tmp_path, name="texts", max_batch_size=8)


class Trimmed(nn.Module):
    """The mean over as many columns as the longest row of the batch has, including the padding of the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        longest = int((x != 0).sum(1).max())
        return x[:, :longest].double().mean(1, keepdim=True)


@pytest.mark.parametrize("kind", [torch.int64, torch.float32])
def test_padding_as_long_as_the_longest_row_is_refused(tmp_path: Path, kind: torch.dtype) -> None:
    """Also if no row of the example is padded, as the command line generates it."""
    example = torch.arange(1, 25).reshape(3, 8).to(kind)
    with pytest.raises(ExportError, match="influence each other: output OUTPUT__0 of one row differs by"):
        export_torchscript(Trimmed(), example, tmp_path, name="trimmed", max_batch_size=8)


class Crowded(nn.Module):
    """Rows are independent only in small batches."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 20:
            return x - x.mean(0)
        return x


def test_the_largest_permitted_batch_is_run(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"influence each other: .* in a batch of 32"):
        export_torchscript(Crowded(), ROWS[:1], tmp_path, name="crowded", max_batch_size=32)
    exported = export_torchscript(Crowded(), ROWS, tmp_path, name="crowded", max_batch_size=16)
    assert exported.signature.max_batch_size == 16


class Five(nn.Module):
    """Rows are independent unless there are five."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == 5:
            return x - x.mean(0)
        return x


def test_every_small_batch_is_run(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"influence each other: .* in a batch of 5"):
        export_torchscript(Five(), ROWS, tmp_path, name="five", max_batch_size=8)


class AtMost(nn.Module):
    """Accepts no more rows than a table has entries."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table[: x.shape[0]]


def test_the_largest_permitted_batch_must_be_accepted(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"fails for 32 rows, .*max_batch_size"):
        export_torchscript(AtMost(), ROWS, tmp_path, name="most", max_batch_size=32)
    exported = export_torchscript(AtMost(), ROWS, tmp_path, name="most", max_batch_size=16)
    assert exported.signature.max_batch_size == 16


class Masked(nn.Module):
    """Attention over the existing columns; padding of one row does not affect another."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        words = self.words(x)
        return self.attention(words, words, words, key_padding_mask=x == 0)[0][:, 0]  # type: ignore[no-any-return]


def test_padding_that_is_masked_passes(tmp_path: Path) -> None:
    example = torch.arange(1, 25).reshape(3, 8)
    exported = export_torchscript(Masked(), example, tmp_path, name="masked", max_batch_size=8)
    assert exported.signature.max_batch_size == 8


LAYOUTS: dict[str, Any] = {
    "sparse_coo": (lambda x, _: x.to_sparse(), r"\.to_dense"),
    "sparse_csr": (lambda x, _: x.to_sparse_csr(), r"\.to_dense"),
    "nested": (lambda x, _: torch.nested.nested_tensor(list(x)), "to_padded_tensor"),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:The PyTorch API of nested")
@pytest.mark.parametrize("batch", [0, 8])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_dense_tensors_are_passed(tmp_path: Path, layout: str, batch: int) -> None:
    function, remedy = LAYOUTS[layout]
    with pytest.raises(ExportError, match=rf"returned a tensor of layout {layout}; .*{remedy}"):
        export_torchscript(Traced(function), ROWS, tmp_path, name="layout", max_batch_size=batch, trace=True)
