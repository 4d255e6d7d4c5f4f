"""The served form is checked: the module as the backend freezes and optimizes it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from triton_operator.export import ExportError, export_torchscript
from triton_operator.export.equivalence_check import ExportOptions, record_runs
from triton_operator.export.served_form import compare_served

PICTURES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Convolution(nn.Module):
    """Images, with or without a batch, as torch permits."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(x).relu()  # type: ignore[no-any-return]


class Masked(nn.Module):
    """A convolution over the part of each text given by its length."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(4, 4, 1)

    def forward(self, x: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        return self.convolution(x[:, :, : int(length[0])]).sum(2)  # type: ignore[no-any-return]


def _export(module: nn.Module, example: Any, folder: Path, **options: Any) -> Any:
    torch.manual_seed(0)
    return export_torchscript(module, example, folder, name="served", **options)


def test_convolutions_are_run_as_they_are_served(tmp_path: Path) -> None:
    exported = _export(Convolution(), PICTURES, tmp_path, max_batch_size=8)
    assert 0 <= exported.difference <= 1e-5


def test_images_without_a_batch_are_served_in_the_form_that_accepts_them(tmp_path: Path) -> None:
    """The optimised form fails for them; the server detects that by zeros, and so does the exporter."""
    exported = _export(Convolution(), PICTURES[0], tmp_path)
    assert exported.difference <= 1e-5


def test_a_module_may_reject_zeros(tmp_path: Path) -> None:
    """With a length of 0, there is nothing to convolve; torch raises an exception."""
    exported = _export(Masked(), (torch.rand(1, 4, 6), torch.tensor([[4]])), tmp_path)
    assert exported.difference <= 1e-5


def test_a_form_that_fails_for_valid_inputs_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts zeros, so the server would use it, and requests would fail."""

    def fails(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(f"no {x.dim()} dimensions")

    monkeypatch.setattr("triton_operator.export.served_form._prepared", lambda *_: fails)
    words = r"that form fails for input \[2, 3, 8, 8\], which the module accepts: no 4 dimensions\. .*unsqueeze\(0\)"
    with pytest.raises(ExportError, match=words):
        _export(Convolution(), PICTURES, tmp_path, max_batch_size=8)
    assert list(tmp_path.rglob("*")) == []


def test_a_form_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, because it waits for a lock of a thread that was not copied."""
    monkeypatch.setattr("triton_operator.export.served_form._prepared", lambda *_: lambda *_: signal.pause())
    monkeypatch.setattr("triton_operator.export.served_form._MOST_SECONDS", 1)
    with pytest.raises(ExportError, match="does not return all outputs within 1 s"):
        _export(Convolution(), PICTURES, tmp_path, max_batch_size=8)


@pytest.mark.parametrize("ending", [signal.SIGSEGV, signal.SIGKILL])
def test_a_form_that_ends_the_process_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    parent = os.getpid()

    def prepared(*_: object) -> Any:
        assert os.getpid() != parent
        os.kill(os.getpid(), ending)

    monkeypatch.setattr("triton_operator.export.served_form._prepared", prepared)
    with pytest.raises(ExportError, match=rf"ends the process with signal {int(ending)} .*zeros"):
        _export(Convolution(), PICTURES, tmp_path, max_batch_size=8)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(("by", "passes"), [(0.0, True), (1e-3, False)])
def test_a_form_with_different_outputs_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: float, passes: bool
) -> None:
    module = Convolution()
    monkeypatch.setattr("triton_operator.export.served_form._prepared", lambda *_: lambda x: module(x) + by)
    if passes:
        _export(module, PICTURES, tmp_path, max_batch_size=8)
    else:
        with pytest.raises(ExportError, match=r"in that form output OUTPUT__0 differs by 0\.001"):
            _export(module, PICTURES, tmp_path, max_batch_size=8)


def test_other_failures_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"nothing")
    runs = record_runs(Convolution(), [(PICTURES,)], ExportOptions("served"), ("x",))
    with pytest.raises(ExportError, match=r"model\.pt is text, not TorchScript"):
        compare_served(path, Convolution(), runs, 1e-5)
