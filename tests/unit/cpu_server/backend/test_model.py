"""The CPU image's backend with real TorchScript: types, batches, and errors that affect only their request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.triton_backend import Tensor, ask, load, numbers, put, save, serve, text

modules = load()
backend = modules["model"]
DTYPES = sorted(modules["tensors"].DTYPES.items(), key=str)


class Same(torch.nn.Module):
    """Returns its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give x."""
        return x


class Labels(torch.nn.Module):
    """Returns its text and booleans."""

    def forward(self, texts: list[str], flags: torch.Tensor) -> tuple[list[str], torch.Tensor]:
        """Mark each text, turn each flag."""
        return [text + "!" for text in texts], ~flags


class Picky(torch.nn.Module):
    """Rejects negative numbers, like a model that rejects unsupported values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Double x."""
        if bool((x < 0).any()):
            raise ValueError("negative input")
        return x * 2


def config(inputs: list[Any], outputs: list[Any], batch: int = 0, **more: Any) -> dict[str, Any]:
    """A config as Triton passes it."""
    model_config = {"name": "digits", "max_batch_size": batch, "default_model_filename": ""}
    return {**model_config, "input": inputs, "output": outputs, **more}


@pytest.fixture
def doubled(tmp_path: Path) -> Any:
    """Serve `Picky` with batches."""
    save(Picky(), tmp_path)
    return serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)], batch=8))


@pytest.mark.parametrize(("dtype", "name"), DTYPES, ids=[name for _, name in DTYPES])
def test_every_type_of_torchscript_goes_in_and_out(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    """The nine numeric types that the native backend has."""
    save(Same(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", name, -1)], [put("y", name, -1)]))
    (answer,) = ask(model, [numbers("x", [0, 1, 1], dtype)])
    assert answer.output_tensors[0].values is not None
    assert answer.output_tensors[0].values.dtype == dtype
    assert answer.values("y") == [0, 1, 1]


def test_text_and_booleans_go_in_and_out(tmp_path: Path) -> None:
    """Chinese text, two requests in one batch."""
    save(Labels(), tmp_path)
    inputs, outputs = [put("texts", "STRING", 1), put("flags", "BOOL", 2)], [put("a", "STRING", 1), put("b", "BOOL", 2)]
    model = serve(backend, tmp_path, config(inputs, outputs, batch=4))
    first = [text("texts", [["我爱你"], ["你好"]]), numbers("flags", [[1, 0], [0, 0]], torch.bool)]
    second = [text("texts", [["hello"]]), numbers("flags", [[1, 1]], torch.bool)]
    one, two = ask(model, first, second)
    assert (one.values("a"), one.values("b")) == ([["我爱你!"], ["你好!"]], [[False, True], [True, True]])
    assert (two.values("a"), two.values("b")) == ([["hello!"]], [[False, False]])


def test_text_that_is_no_list_is_the_callers_fault(tmp_path: Path) -> None:
    """TorchScript supports lists of text only."""
    save(Labels(), tmp_path)
    inputs, outputs = (
        [put("texts", "STRING", 2, 2), put("flags", "BOOL", 1)],
        [put("a", "STRING", -1), put("b", "BOOL", 1)],
    )
    model = serve(backend, tmp_path, config(inputs, outputs))
    table, broken = text("texts", [["a", "b"], ["c", "d"]]), text("texts", [b"\xff"])
    answers = ask(model, *([entry, numbers("flags", [1], torch.bool)] for entry in (table, broken)))
    errors = [(answer.error.code, answer.error.message) for answer in answers if answer.error]
    assert errors == [
        ("INVALID_ARG", "input 'texts': text must have one dimension, not shape [2, 2]"),
        ("INVALID_ARG", "input 'texts': text is not UTF-8"),
    ]


def test_requests_of_a_batch_run_together(doubled: Any) -> None:
    """The model is called once, and each request gets its own rows."""
    calls: list[int] = []
    run = doubled._module

    def counted(rows: torch.Tensor) -> torch.Tensor:
        calls.append(len(rows))
        return torch.as_tensor(run(rows))

    doubled._module = counted
    answers = ask(doubled, [numbers("x", [[1, 2]])], [numbers("x", [[3, 4], [5, 6]])])
    assert [answer.values("y") for answer in answers] == [[[2, 4]], [[6, 8], [10, 12]]]
    assert calls == [3]


def test_one_bad_request_spoils_no_other(doubled: Any) -> None:
    """Its caller gets the model's message, without a trace of its code."""
    good, bad, other = ask(doubled, *([numbers("x", [[first, 1]])] for first in (1, -1, 3)))
    assert (good.values("y"), other.values("y")) == ([[2, 2]], [[6, 2]])
    assert bad.error
    assert (bad.error.code, bad.error.message) == ("INTERNAL", "the model failed: ValueError: negative input")


def test_a_wrong_shape_gives_one_sentence(tmp_path: Path) -> None:
    """Torch's message contains a trace of serialized code and paths, which are not sent."""
    save(torch.nn.Linear(2, 1), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", -1)], [put("y", "FP32", 1)], batch=8))
    (answer,) = ask(model, [numbers("x", [[1, 2, 3]])])
    assert answer.error
    assert answer.error.message.startswith("the model failed: ")
    assert answer.error.message.endswith("mat1 and mat2 shapes cannot be multiplied (1x3 and 2x1)")
    assert "\n" not in answer.error.message


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (put("y", "FP64", 2), "output 'y' is FP32, but config.pbtxt declares FP64"),
        (put("y", "STRING", 2), "output 'y' is FP32, but config.pbtxt declares STRING"),
        (put("y", "FP32", 3), "output 'y' has shape [2], but config.pbtxt declares [3]"),
        (put("y", "FP32", 2, 1), "output 'y' has shape [2], but config.pbtxt declares [2, 1]"),
        (put("y__1", "FP32", 2), "forward() returned 1 result(s), so there is none for output y__1"),
    ],
)
def test_an_output_that_differs_from_the_config_is_reported(tmp_path: Path, output: dict[str, Any], words: str) -> None:
    """Clients would misinterpret its bytes."""
    save(Same(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 2)], [output]))
    (answer,) = ask(model, [numbers("x", [1, 2])])
    assert answer.error
    assert answer.error.message == f"the model failed: {words}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_convolution_gives_what_eager_torch_gives(tmp_path: Path, dtype: torch.dtype) -> None:
    """Frozen and optimised for inference; several runs, because the JIT compiles during the first ones."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10)
    )
    network = network.to(dtype).eval()
    save(network, tmp_path)
    name = dict(DTYPES)[dtype]
    model = serve(backend, tmp_path, config([put("x", name, 1, 8, 8)], [put("y", name, 10)], batch=8))
    for rows in (1, 4, 2, 4):
        images = torch.rand(rows, 1, 8, 8, dtype=dtype)
        (answer,) = ask(model, [Tensor("x", values=images)])
        torch.testing.assert_close(
            torch.tensor(answer.values("y"), dtype=dtype), network(images).detach(), atol=1e-5, rtol=0
        )


def test_a_failed_warm_up_is_reported_with_the_sent_shapes(tmp_path: Path, capfd: Any) -> None:
    """Triton 2.51 often crashes before it reports the reason; requests of callers are never logged."""
    save(Picky(), tmp_path)
    warmup = [{"name": "zeros", "batch_size": 2, "inputs": {}, "count": 0}]
    model = serve(
        backend, tmp_path, config([put("x", "FP32", -1)], [put("y", "FP32", -1)], batch=8, model_warmup=warmup)
    )
    ask(model, [numbers("x", [[1.0, 2.0]])], [numbers("x", [[-13.0, 2.0, 3.0]])])
    stderr = capfd.readouterr().err
    assert stderr.startswith("warm-up of model 'digits' version 1 failed: ")
    assert " (sent x [1, 3] float32); provide model_warmup data that the model accepts" in stderr
    ask(model, [numbers("x", [[-13.0, 2.0, 3.0]])])
    assert capfd.readouterr().err == ""


def test_the_default_is_one_thread(tmp_path: Path) -> None:
    """There is one process per instance: more threads than cores made requests 12 times slower."""
    save(Same(), tmp_path)
    put_in_out = [put("x", "FP32", 2)], [put("y", "FP32", 2)]
    parameters = {"INTRA_OP_THREAD_COUNT": {"string_value": "2"}}
    assert serve(backend, tmp_path, config(*put_in_out)).threads == 1
    assert serve(backend, tmp_path, config(*put_in_out, parameters=parameters)).threads == 2


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_an_invalid_number_of_threads_is_rejected(tmp_path: Path, value: str) -> None:
    """When the model is loaded, with the parameter's name."""
    save(Same(), tmp_path)
    parameters = {"INTRA_OP_THREAD_COUNT": {"string_value": value}}
    with pytest.raises(Exception, match=f"INTRA_OP_THREAD_COUNT is '{value}'"):
        serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)], parameters=parameters))


def test_a_parameter_without_effect_is_named(tmp_path: Path, capfd: Any) -> None:
    """The native backend has more parameters."""
    save(Same(), tmp_path)
    parameters = {name: {"string_value": "true"} for name in ("ENABLE_NVFUSER", "INFERENCE_MODE")}
    serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)], parameters=parameters))
    assert capfd.readouterr().err == (
        "model 'digits' version 1: the parameter ENABLE_NVFUSER has no effect in the CPU image\n"
    )


@pytest.mark.parametrize(("value", "mode"), [("true", True), ("false", False), (None, True)])
def test_inference_mode_is_the_configs_choice(tmp_path: Path, value: str | None, mode: bool) -> None:
    """Without it, gradients are disabled nevertheless, as in the native backend."""
    save(Same(), tmp_path)
    parameters = {"INFERENCE_MODE": {"string_value": value}} if value else {}
    model = serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)], parameters=parameters))
    modes: list[tuple[bool, bool]] = []

    def seen(x: torch.Tensor) -> torch.Tensor:
        modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return x

    model._module = seen
    ask(model, [numbers("x", [1, 2])])
    assert modes == [(mode, False)]
