"""What the server makes of a module before it serves, tried where its end harms nobody, on the warm-up's data."""

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
    """Cuts its input to a length that is among the inputs, and convolves."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(1, 4, 3)
        self.second = torch.nn.Conv2d(4, 2, 3)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Encode."""
        seen = torch.relu(self.first(x[:, :, :, : int(lengths.max())]))
        return torch.mean(self.second(seen), (2, 3))


def config(inputs: list[Any], outputs: list[Any], batch: int = 0, **more: Any) -> dict[str, Any]:
    """Make a config as Triton hands it over."""
    return {"name": "model", "max_batch_size": batch, "input": inputs, "output": outputs, **more}


def warm_up(**inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Make the warm-up's part of a config."""
    return [{"name": "sample", "batch_size": 1, "count": 1, "inputs": inputs}]


def sent(dtype: str, *dims: int, **data: Any) -> dict[str, Any]:
    """Make one input of a warm-up; of zeros unless it says otherwise."""
    return {"data_type": f"TYPE_{dtype}", "dims": [str(size) for size in dims], **(data or {"zero_data": True})}


def test_a_convolution_without_a_batch_is_served_frozen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The optimised form refuses what the module takes; every request was an error."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()).eval()
    save(network, tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1, 5, 5)], [put("y", "FP32", 2, 3, 3)]))
    picture = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(0))
    (answer,) = ask(model, [numbers("x", picture.tolist())])
    torch.testing.assert_close(torch.tensor(answer.values("y")), network(picture).detach())
    stderr = capfd.readouterr().err
    assert "model 'model' version 1 is served frozen, not optimised: it fails only in that form" in stderr


def test_a_convolution_with_a_batch_is_served_optimised(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Which is 2.5 times as fast; nothing is said."""
    save(torch.nn.Conv2d(1, 2, 3), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1, 5, 5)], [put("y", "FP32", 2, 3, 3)], batch=8))
    assert "mkldnn_convolution" in str(model._module.graph)
    assert capfd.readouterr().err == ""


def crash(*_: Any) -> Any:
    """End the process as a bad pointer does."""
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
    """The next one is, and this process goes on."""
    forms = [Form("optimised", lambda: prepared), Form("frozen", torch.nn.Identity)]
    chosen = trial.choose(lambda x: x, forms, [([torch.zeros(2)], {})], "model 'm' version 1")
    assert isinstance(chosen, torch.nn.Identity)
    assert f"model 'm' version 1 is served frozen, not optimised: {words}" in capfd.readouterr().err


def test_a_module_that_no_form_equals_is_served_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    """With a line for each."""

    def own(x: torch.Tensor) -> torch.Tensor:
        return x

    forms = [Form("optimised", lambda: crash), Form("frozen", lambda: crash)]
    assert trial.choose(own, forms, [([torch.zeros(2)], {})], "model 'm' version 1") is own
    assert "is served as exported, not frozen: " in capfd.readouterr().err


def test_what_the_module_itself_refuses_says_nothing_of_a_form() -> None:
    """Only that it must not end the process."""

    def refuses(_: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")

    forms = [Form("optimised", lambda: refuses), Form("frozen", lambda: crash)]
    assert trial.choose(refuses, forms, [([torch.zeros(2)], {})], "model 'm' version 1") is refuses


def test_a_module_that_itself_ends_the_process_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the warm-up and what to do; the server would have ended with all its models."""
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
    """It ended the process with signal 11, and no other model of the folder started."""
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
    """Plain torch raises an ordinary error; the process goes on and answers the next one."""
    save(Masked(), tmp_path)
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    model = serve(backend, tmp_path, config(inputs, [put("y", "FP32", 2)], batch=8))
    for length in (0, 9, 0, 9):
        picture = torch.ones(1, 1, 9, 9).tolist()
        (answer,) = ask(model, [numbers("x", picture), numbers("lengths", [[length]], torch.int64)])
        assert (answer.error is None) == (length == 9)


def test_a_warm_up_from_a_file_is_read(tmp_path: Path) -> None:
    """The model takes this length, and would not take zero."""
    save(Masked(), tmp_path)
    (tmp_path / "warmup").mkdir()
    (tmp_path / "warmup" / "nine").write_bytes(np.array([9], np.int64).tobytes())
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    sample = warm_up(x=sent("FP32", 1, 9, 9), lengths=sent("INT64", 1, input_data_file="nine"))
    serve(backend, tmp_path, config(inputs, [put("y", "FP32", 2)], batch=8, model_warmup=sample))


@pytest.mark.parametrize("data", [{"random_data": True}, {"input_data_file": "missing"}])
def test_what_only_triton_knows_of_a_warm_up_is_left_to_it(tmp_path: Path, data: dict[str, Any]) -> None:
    """Its numbers, and its words for a file that is not there."""
    save(Masked(), tmp_path)
    inputs = [put("x", "FP32", 1, 9, 9), put("lengths", "INT64", 1)]
    sample = warm_up(x=sent("FP32", 1, 9, 9), lengths=sent("INT64", 1, **data))
    serve(backend, tmp_path, config(inputs, [put("y", "FP32", 2)], batch=8, model_warmup=sample))
