"""The form in which a module is served: tried in a child process, which may crash, with the data of the warm-up."""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.triton_backend import ask, load, numbers, put, save, serve

modules = load()
backend, trial = modules["model"], modules["trial"]
Form = trial.Form


class Masked(torch.nn.Module):
    """Cuts its input to a length that is one of the inputs, and convolves."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(1, 4, 3)
        self.second = torch.nn.Conv2d(4, 2, 3)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Encode."""
        seen = torch.relu(self.first(x[:, :, :, : int(lengths.max())]))
        return torch.mean(self.second(seen), (2, 3))


def config(inputs: list[Any], outputs: list[Any], batch: int = 0, **more: Any) -> dict[str, Any]:
    """A config as Triton passes it."""
    return {"name": "model", "max_batch_size": batch, "input": inputs, "output": outputs, **more}


def warm_up(**inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """The warm-up in a config."""
    return [{"name": "sample", "batch_size": 1, "count": 1, "inputs": inputs}]


def sent(dtype: str, *dims: int, **data: Any) -> dict[str, Any]:
    """One input of a warm-up, with zeros by default."""
    return {"data_type": f"TYPE_{dtype}", "dims": [str(size) for size in dims], **(data or {"zero_data": True})}


def test_a_convolution_without_a_batch_is_served_frozen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The optimised form rejects inputs that the module accepts; every request failed."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()).eval()
    save(network, tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1, 5, 5)], [put("y", "FP32", 2, 3, 3)]))
    picture = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(0))
    (answer,) = ask(model, [numbers("x", picture.tolist())])
    torch.testing.assert_close(torch.tensor(answer.values("y")), network(picture).detach())
    stderr = capfd.readouterr().err
    assert "model 'model' version 1 is served frozen, not optimised: it fails only in that form" in stderr


def test_a_convolution_with_a_batch_is_served_optimised(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is 2.5 times as fast; nothing is logged."""
    save(torch.nn.Conv2d(1, 2, 3), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1, 5, 5)], [put("y", "FP32", 2, 3, 3)], batch=8))
    assert "mkldnn_convolution" in str(model._module.graph)
    assert capfd.readouterr().err == ""


def crash(*_: Any) -> Any:
    """End the process like an invalid pointer."""
    faulthandler.disable()  # pytest's, which would print a trace
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("prepared", "words"),
    [
        (crash, "in that form it ended its process with signal 11"),
        (lambda x: x + 1, "in that form it returns different results"),
        (lambda x: x.double(), "in that form it returns different results"),
        (lambda x: x.to_mkldnn().squeeze(5), "it fails only in that form: "),
    ],
    ids=["crashes", "different results", "another type", "fails"],
)
def test_a_form_that_is_not_the_module_is_not_served(
    prepared: Any, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The next form is served, and this process continues."""
    forms = [Form("optimised", lambda: prepared), Form("frozen", torch.nn.Identity)]
    chosen = trial.choose(lambda x: x, forms, [([torch.zeros(2)], {})], "model 'm' version 1")
    assert isinstance(chosen, torch.nn.Identity)
    assert f"model 'm' version 1 is served frozen, not optimised: {words}" in capfd.readouterr().err


def test_a_module_that_no_form_equals_is_served_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    """A line is logged for each form."""

    def own(x: torch.Tensor) -> torch.Tensor:
        return x

    forms = [Form("optimised", lambda: crash), Form("frozen", lambda: crash)]
    assert trial.choose(own, forms, [([torch.zeros(2)], {})], "model 'm' version 1") is own
    assert "is served as exported, not frozen: " in capfd.readouterr().err


def test_an_error_of_the_module_does_not_reject_a_form() -> None:
    """A form must only not crash the process."""

    def refuses(_: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")

    forms = [Form("optimised", lambda: refuses), Form("frozen", lambda: crash)]
    assert trial.choose(refuses, forms, [([torch.zeros(2)], {})], "model 'm' version 1") is refuses


def test_a_module_that_itself_ends_the_process_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the warm-up and the solution; otherwise, all models of the server would stop."""
    save(torch.nn.Conv2d(1, 2, 3), tmp_path)
    monkeypatch.setattr(trial, "_outcome", crash)
    model_config = config(
        [put("x", "FP32", 1, 5, 5)], [put("y", "FP32", 2, 3, 3)], model_warmup=warm_up(x=sent("FP32", 1, 5, 5))
    )
    words = (
        r"^warm-up of model 'model' version 1 failed: ended its process with signal 11; provide model_warmup data that"
    )
    with pytest.raises(Exception, match=words):
        serve(backend, tmp_path, model_config)


def test_a_length_of_zero_in_the_warm_up_is_an_ordinary_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Formerly the process ended with signal 11, and no other model of the folder started."""
    save(Masked(), tmp_path)
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    zeros = warm_up(x=sent("FP32", 1, 9, 9), lengths=sent("INT64", 1))
    model_config = config(inputs, [put("y", "FP32", 2)], batch=8, model_warmup=zeros)
    with pytest.raises(Exception, match="Kernel size can't be greater than actual input size") as caught:
        serve(backend, tmp_path, model_config)
    stderr = capfd.readouterr().err
    assert (
        "(sent x [1, 1, 9, 9] float32, lengths [1, 1] int64); provide model_warmup data that the model accepts"
        in stderr
    )
    assert str(caught.value) == stderr.splitlines()[-1]


def test_the_same_length_in_a_request_is_an_error_of_that_request(tmp_path: Path) -> None:
    """Plain torch raises an exception; the process continues with the next request."""
    save(Masked(), tmp_path)
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    model = serve(backend, tmp_path, config(inputs, [put("y", "FP32", 2)], batch=8))
    for length in (0, 9, 0, 9):
        picture = torch.ones(1, 1, 9, 9).tolist()
        (answer,) = ask(model, [numbers("x", picture), numbers("lengths", [[length]], torch.int64)])
        assert (answer.error is None) == (length == 9)


def test_a_warm_up_from_a_file_is_read(tmp_path: Path) -> None:
    """The model accepts this length, but not zero."""
    save(Masked(), tmp_path)
    (tmp_path / "warmup").mkdir()
    (tmp_path / "warmup" / "nine").write_bytes(np.array([9], np.int64).tobytes())
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    sample = warm_up(x=sent("FP32", 1, 9, 9), lengths=sent("INT64", 1, input_data_file="nine"))
    serve(backend, tmp_path, config(inputs, [put("y", "FP32", 2)], batch=8, model_warmup=sample))


@pytest.mark.parametrize("data", [{"random_data": True}, {"input_data_file": "missing"}])
def test_what_only_triton_knows_of_a_warm_up_is_left_to_it(tmp_path: Path, data: dict[str, Any]) -> None:
    """Its random numbers, and its message for a missing file."""
    save(Masked(), tmp_path)
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    sample = warm_up(x=sent("FP32", 1, 9, 9), lengths=sent("INT64", 1, **data))
    serve(backend, tmp_path, config(inputs, [put("y", "FP32", 2)], batch=8, model_warmup=sample))
