"""A module that returns different outputs for the same inputs is rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from triton_operator.export import ExportError, export_torchscript
from triton_operator.export.exporter import deprecation_known
from triton_operator.export.folder import Destination
from triton_operator.export.request import ExportRequest
from triton_operator.export.source import run

ROWS = torch.arange(8, dtype=torch.float32).reshape(2, 4) / 7
STATE = "the module keeps state between calls"
RANDOM = "the module draws random numbers with each call"


class Attribute(nn.Module):
    """A voice activity detector, whose outputs depend on earlier inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.before = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.before = 0.5 * self.before + 0.5 * x.mean()
        return x + self.before


class Buffer(nn.Module):
    """The same with a buffer that is changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(x.abs().max())  # type: ignore[operator]
        return x + self.seen  # type: ignore[operator]


class Hidden(nn.Module):
    """A non-persistent buffer of a layer, which is also returned."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Module()
        self.inner.register_buffer("hidden", torch.zeros(1, 4), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.inner.hidden.mul_(0.5).add_(x.sum(0, keepdim=True))  # type: ignore[operator]
        return self.inner.hidden  # type: ignore[return-value]


class Counter(nn.Module):
    """A counter in an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * self.calls


class Late(nn.Module):
    """The output changes only after 60 calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x if self.calls < 60 else -x


class Last(nn.Module):
    """The output depends on the previous input, unless both are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        same = self.last.shape == x.shape and bool((self.last == x).all())
        before = self.last
        self.last = x
        return x if same or before.numel() == 0 else x + before.mean()


class Collected(nn.Module):
    """A growing list."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.all.append(x.mean())
        return x + torch.stack(self.all).mean()


class First(nn.Module):
    """Keeps the mean of the first input for good."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mean.numel() == 0:
            self.mean = x.mean().reshape(1)
        return x - self.mean


class Poisoned(nn.Module):
    """Returns zeros after a number that is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not bool(x.isfinite().all()):
            self.failed = True
        return x * 0 if self.failed else x


class ByShape(nn.Module):
    """Keeps the mean of the first input of each shape in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kept.shape != x.shape:
            self.kept = torch.zeros_like(x) + x.mean()
        return x + self.kept


class Dropout(nn.Module):
    """Dropout that is always on."""

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, self.share, training=True)


class Noise(nn.Module):
    """New random numbers in each call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x)


class Cache(nn.Module):
    """A table that is computed once and does not change outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.table.numel() < x.shape[-1]:
            self.table = torch.arange(x.shape[-1]).float()
        return x + self.table[: x.shape[-1]]


@pytest.mark.parametrize("batch", [0, 8])
@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Attribute, f"{STATE} (it changes before): output OUTPUT__0 of the same input differs by"),
        (Buffer, f"{STATE} (it changes seen)"),
        (Counter, f"{STATE} (it changes calls)"),
        (Late, f"{STATE} (it changes calls)"),
        (Last, f"{STATE} (it changes last)"),
        (First, f"{STATE} (it changes mean)"),
        (Poisoned, f"{STATE} (it changes failed)"),
        (Dropout, RANDOM),
        (lambda: Dropout(0.02), RANDOM),
        (Noise, RANDOM),
    ],
)
def test_state_is_rejected_with_advice(tmp_path: Path, module: Any, words: str, batch: int) -> None:
    with pytest.raises(ExportError) as caught:
        export_torchscript(module(), ROWS, tmp_path, name="state", max_batch_size=batch)
    assert words in str(caught.value)
    assert list(tmp_path.rglob("*")) == []
    if STATE in words:
        assert "an input and an output" in str(caught.value)
        assert "sequence_batching" in str(caught.value)


def test_state_of_each_shape_is_found(tmp_path: Path) -> None:
    """The outputs of an input do not change until one of another shape arrives."""
    with pytest.raises(ExportError, match=STATE):
        export_torchscript(ByShape(), ROWS, tmp_path, name="state")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("module", "changed"), [(Hidden, "inner.hidden"), (Collected, "all")])
def test_state_that_tracing_loses_is_found(tmp_path: Path, module: Any, changed: str) -> None:
    """Also if the next call changes the tensor that the previous one returned."""
    with pytest.raises(ExportError) as caught:
        export_torchscript(module(), ROWS, tmp_path, name="state", trace=True)
    assert f"{STATE} (it changes {changed})" in str(caught.value)


@pytest.mark.parametrize(
    ("module", "words"),
    [(Attribute, STATE), (Buffer, STATE), (Counter, STATE), (Late, STATE), (First, STATE), (Dropout, RANDOM)],
)
def test_a_file_is_checked_like_a_module(tmp_path: Path, module: Any, words: str) -> None:
    """For layers that were in training mode when it was scripted."""
    path = tmp_path / "state.pt"
    with deprecation_known():
        torch.jit.script(module().train()).save(str(path))
    with pytest.raises(ExportError, match=words):
        run(ExportRequest(str(path), ("FP32:4",), "state", 8), Destination(tmp_path / "to"))
    assert not (tmp_path / "to").exists()


class LayerDropout(nn.Module):
    """A layer that eval() turns off, unless it was traced."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(x)  # type: ignore[no-any-return]


def test_dropout_disabled_by_eval_is_accepted(tmp_path: Path) -> None:
    export_torchscript(LayerDropout().train(), ROWS, tmp_path, name="dropout", max_batch_size=8)


def test_dropout_in_a_traced_file_stays_on(tmp_path: Path) -> None:
    path = tmp_path / "dropout.pt"
    with deprecation_known():
        torch.jit.trace(LayerDropout().train(), ROWS, check_trace=False).save(path)  # type: ignore[no-untyped-call]
    with pytest.raises(ExportError, match=f"{RANDOM}.*dropout"):
        run(ExportRequest(str(path), ("FP32:4",), "dropout"), Destination(tmp_path / "to"))


def test_a_table_computed_once_is_not_state(tmp_path: Path) -> None:
    export_torchscript(Cache(), ROWS, tmp_path, name="cache", max_batch_size=8)


def test_the_program_draws_the_same_random_numbers_afterwards(tmp_path: Path) -> None:
    """Exporting does not change the random state."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with pytest.raises(ExportError, match=RANDOM):
        export_torchscript(Noise(), ROWS, tmp_path, name="noise")
    assert torch.equal(torch.rand(3), expected)
