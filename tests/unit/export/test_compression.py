"""Compression: what each method removes, that the rest gives the same outputs, and what is rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from triton_operator.export import CompressionRejectedError, ExportError, compress, export_torchscript
from triton_operator.export.channels import remove_channels
from triton_operator.export.exporter import load


class Pictures(nn.Module):
    """[batch, 1, 12, 12] -> [batch, 3], with a normalisation and a pooling layer in between."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(nn.Linear(12 * 9, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))  # type: ignore[no-any-return]


class Words(nn.Module):
    """[batch, length] of ids -> [batch, 1]."""

    def __init__(self, recurrent: type[nn.LSTM | nn.GRU] = nn.LSTM) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.recurrent = recurrent(16, 64, batch_first=True)
        self.dense = nn.Linear(64, 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        out, _ = self.recurrent(self.embedding(ids))
        return self.dense(out[:, -1])  # type: ignore[no-any-return]


class Skip(nn.Module):
    """A skip connection: only channels of the second layer can be removed."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(9, 4), nn.Embedding(3, 4)
        self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 10), nn.Linear(10, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        a = self.first(self.words(ids) + self.places(torch.arange(3)))
        return a + self.third(self.second(a).relu())  # type: ignore[no-any-return]


PICTURES, IDS = torch.rand(4, 1, 12, 12), torch.arange(20).reshape(4, 5)


def fair(_module: nn.Module) -> float:
    """Return the same score for every module."""
    return 1.0


def size(module: nn.Module, examples: torch.Tensor, folder: Path, name: str, tolerance: float = 1e-5) -> int:
    """Bytes of the exported file."""
    exported = export_torchscript(module, examples, folder, name=name, max_batch_size=8, tolerance=tolerance)
    return exported.path.stat().st_size


@pytest.mark.parametrize("method", ["prune", "prune-channels", "int8", "fp16"])
@pytest.mark.parametrize(("build", "examples"), [(Pictures, PICTURES), (Words, IDS)])
def test_a_compressed_module_can_be_exported_and_loaded(
    build: Callable[[], nn.Module], examples: torch.Tensor, method: str, tmp_path: Path
) -> None:
    """The original stays unchanged; the file is smaller, except if only zeros were written."""
    torch.manual_seed(0)
    module = build().eval()
    before = module(examples)
    compressed = compress(module, examples, method=method, evaluate=fair)
    assert torch.equal(module(examples), before)
    # A recurrent layer in 8 bits has one scale for a whole batch, so its rows are not quite independent.
    tolerance = 0.05 if method == "int8" and build is Words else 1e-5
    whole = size(module, examples, tmp_path, "whole")
    smaller = size(compressed.module, examples, tmp_path, "smaller", tolerance)
    if method == "prune":
        assert abs(whole - smaller) < 200
    else:
        assert smaller < whole
    loaded = load(tmp_path / "smaller" / "1" / "model.pt")
    assert torch.allclose(loaded(examples), compressed.module(examples), atol=1e-5)
    if method in {"int8", "fp16"}:
        assert torch.allclose(compressed.module(examples), before, atol=0.05)


def test_a_module_of_nothing_but_recurrent_layers_can_be_halved() -> None:
    class Memory(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = nn.LSTM(4, 8, batch_first=True)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return self.cells(rows)[0]  # type: ignore[no-any-return]

    module, rows = Memory().eval(), torch.rand(2, 3, 4)
    halved = compress(module, rows, method="fp16", evaluate=fair).module
    assert not isinstance(halved.cells, nn.LSTM)
    assert torch.allclose(halved(rows), module(rows), atol=0.01)


def test_the_smallest_weights_of_all_layers_become_zero() -> None:
    module: Any = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10)).eval()
    with torch.no_grad():
        module[1].weight.fill_(5)
    pruned: Any = compress(module, torch.rand(1, 10), method="prune", evaluate=fair, sparsity=0.4).module
    zeros = [int((layer.weight == 0).sum()) for layer in pruned]
    assert zeros == [80, 0]


def test_pruned_weights_stay_zero_while_the_rest_is_trained() -> None:
    module: Any = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))

    def train(pruned: nn.Module) -> None:
        optimizer = torch.optim.SGD(pruned.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            pruned(torch.rand(8, 6)).square().mean().backward()
            optimizer.step()

    pruned: Any = compress(module, torch.rand(1, 6), method="prune", evaluate=fair, fine_tune=train).module
    weights = torch.cat([layer.weight.flatten() for layer in (pruned[0], pruned[2])])
    assert int((weights == 0).sum()) == 21
    assert set(dict(pruned.named_parameters())) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    original = torch.cat([layer.weight.flatten() for layer in (module[0], module[2])])
    assert not torch.isin(weights[weights != 0], original).all()


def test_layers_are_really_smaller() -> None:
    module = Pictures()
    smaller = compress(module, PICTURES, method="prune-channels", evaluate=fair, sparsity=0.5).module
    assert [tuple(each.shape) for each in smaller.parameters() if each.dim() > 1] == [
        *((4, 1, 3, 3), (6, 4, 3, 3)),
        *((32, 6 * 9), (3, 32)),
    ]


@pytest.mark.parametrize("recurrent", [nn.LSTM, nn.GRU])
def test_hidden_units_are_removed(recurrent: type[nn.LSTM | nn.GRU]) -> None:
    words = Words(recurrent)
    smaller = compress(words, IDS, method="prune-channels", evaluate=fair, sparsity=0.25).module
    assert isinstance(smaller, Words)
    assert (smaller.embedding.embedding_dim, smaller.recurrent.hidden_size, smaller.dense.in_features) == (12, 48, 48)


def test_channels_read_by_several_layers_are_kept() -> None:
    module = Skip().eval()
    ids = torch.arange(6).reshape(2, 3)
    assert remove_channels(module, [ids], 0.5) == ["second"]
    assert module(ids).shape == (2, 3, 4)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.integers(1, 4), st.floats(0.1, 0.9), st.integers(0, 1000))
def test_removing_zero_channels_does_not_change_outputs(width: int, block: int, sparsity: float, seed: int) -> None:
    """For any width: with zeroed channels, the smaller module returns the same outputs as the original."""
    torch.manual_seed(seed)
    module: Any = nn.Sequential(nn.Conv1d(2, width, 1), nn.ReLU(), nn.Flatten(), nn.Linear(width * block, 3)).eval()
    gone = width - max(1, width - round(sparsity * width))
    silent = torch.randperm(width)[:gone]
    with torch.no_grad():
        module[0].weight[silent] = 0
        module[0].bias[silent] = 0
    x = torch.rand(2, 2, block)
    before = module(x)
    if gone:
        remove_channels(module, [x], sparsity)
    assert module[0].out_channels == width - gone
    assert torch.allclose(module(x), before, atol=1e-4)


def test_a_drop_above_the_maximum_is_rejected() -> None:
    """The message has both scores; a score of NaN is rejected, too."""
    scores = iter([0.9, 0.85])
    with pytest.raises(
        CompressionRejectedError, match=r"int8 lowers the score by 0\.05 \(0\.9 before, 0\.85 after\), and"
    ):
        compress(Pictures(), PICTURES, method="int8", evaluate=lambda _: next(scores), max_drop=0.04)
    scores = iter([0.9, 0.85])
    allowed = compress(Pictures(), PICTURES, method="int8", evaluate=lambda _: next(scores), max_drop=0.06)
    assert (allowed.before, allowed.after) == (0.9, 0.85)
    scores = iter([0.9, float("nan")])
    with pytest.raises(CompressionRejectedError, match="lowers the score by nan"):
        compress(Pictures(), PICTURES, method="int8", evaluate=lambda _: next(scores), max_drop=1)


@pytest.mark.parametrize(
    ("module", "options", "words"),
    [
        (nn.Linear(2, 2), {"method": "zip"}, "method zip: must be one of prune, prune-channels, int8"),
        (nn.Linear(2, 2), {"method": "prune", "sparsity": 1.0}, "sparsity 1: must be above 0 and below 1"),
        (nn.Linear(2, 2), {"method": "int8", "fine_tune": fair}, "fine-tuning is supported only after pruning"),
        (nn.Linear(2, 2), {"method": "prune-channels"}, "no channels can be removed"),
        (nn.ReLU(), {"method": "prune"}, "has no weights that can be pruned"),
        (nn.ReLU(), {"method": "int8"}, "has no linear or recurrent layers"),
        (nn.ReLU(), {"method": "fp16"}, "has no linear, convolutional, recurrent or embedding layers"),
        (nn.Linear(2, 2), {"method": "prune", "evaluate": lambda _: "good"}, "the evaluation returned str"),
    ],
)
def test_modules_that_cannot_be_compressed_are_rejected(module: nn.Module, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError) as caught:
        compress(module, torch.rand(2, 2), **{"evaluate": fair, **options})
    assert words in str(caught.value)


def test_large_numbers_in_a_row_do_not_affect_other_rows() -> None:
    """Each row of a linear layer in 8 bits has its own scale, and an undefined row affects no other row."""
    torch.manual_seed(0)
    module = compress(nn.Linear(16, 8), torch.rand(4, 16), method="int8", evaluate=fair).module
    rows = torch.randn(4, 16)
    for other in (1e6, 0.0, float("nan"), float("inf")):
        beside = torch.stack([rows[0], torch.full((16,), other), rows[1] * 1e-3])
        answers = module(beside)
        assert torch.equal(answers[:1], module(rows[:1]))
        assert torch.equal(answers[2:], module(rows[1:2] * 1e-3))
    assert torch.isnan(module(torch.full((1, 16), float("nan")))).all()


def test_recurrent_layers_in_8_bits_cannot_be_batched_by_default(tmp_path: Path) -> None:
    """Torch uses one scale for all rows of a batch."""
    torch.manual_seed(0)
    module = compress(Words(), IDS, method="int8", evaluate=fair).module
    with pytest.raises(ExportError, match=r"influence each other: output OUTPUT__0 of one row differs by 0\.0\d+"):
        export_torchscript(module, IDS, tmp_path, name="words", max_batch_size=8)
    export_torchscript(module, IDS, tmp_path, name="words")
