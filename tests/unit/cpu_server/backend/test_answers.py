"""Responses that cannot be sent: the caller gets one sentence, and other requests of the batch are not affected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.triton_backend import Letters, Tensor, ask, load, numbers, put, save, serve, text

backend = load()["model"]


class Sparse(torch.nn.Module):
    """Returns a sparse tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Make it sparse."""
        return x.to_sparse()


class Complex(torch.nn.Module):
    """Returns a type that Triton does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Make it complex."""
        return torch.complex(x, x)


class Imaginary(torch.nn.Module):
    """Returns a view with a pending negation, which has no bytes of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Negate by conjugation."""
        return torch.imag(torch.complex(x, x).conj())


class Dictionary(torch.nn.Module):
    """Returns results by name."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Name them."""
        return {"boxes": x, "scores": x}


class ListOfTensors(torch.nn.Module):
    """Returns a list of tensors."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """List them."""
        return [x, x]


class Nothing(torch.nn.Module):
    """Returns one of two outputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor | None:
        """Give x if it is positive."""
        return x if bool((x > 0).all()) else None


class Number(torch.nn.Module):
    """Returns a number."""

    def forward(self, x: torch.Tensor) -> float:
        """Sum up."""
        return float(x.sum())


class Nested(torch.nn.Module):
    """Returns a tuple in a tuple."""

    def forward(self, x: torch.Tensor) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Nest."""
        return (x, x), x


def config(inputs: list[Any], outputs: list[Any], batch: int = 8, **more: Any) -> dict[str, Any]:
    """A config as Triton passes it."""
    return {"name": "model", "max_batch_size": batch, "input": inputs, "output": outputs, **more}


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Sparse(), "output 'y' is a tensor with layout sparse_coo: convert it to a dense tensor in forward()"),
        (Complex(), "output 'y' is torch.complex64, but config.pbtxt declares FP32"),
        (Dictionary(), "output 'y': forward() returned a dictionary (boxes, scores); it must return a Tensor"),
        (ListOfTensors(), "output 'y': forward() returned a list of Tensor; it must return a Tensor"),
        (Number(), "output 'y': forward() returned a number (float); it must return a Tensor"),
        (Nested(), "output 'y': forward() returned a tuple of Tensor; it must return a Tensor"),
    ],
)
def test_an_answer_of_another_kind_is_explained_in_one_sentence(
    tmp_path: Path, module: torch.nn.Module, words: str
) -> None:
    """Alone and in a batch, without a traceback or a path."""
    save(module, tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)]))
    for answer in ask(model, *([numbers("x", [[1, 2]])] for _ in range(3))):
        assert answer.error
        assert answer.error.message.startswith(f"the model failed: {words}")
        assert not {"\n", "/"} & set(answer.error.message)


def test_nothing_for_one_caller_is_an_error_of_that_one(tmp_path: Path) -> None:
    """The others receive their responses."""
    save(Nothing(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)]))
    good, bad, other = ask(model, *([numbers("x", [[value, 1]])] for value in (1, -1, 3)))
    assert (good.values("y"), other.values("y")) == ([[1, 1]], [[3, 1]])
    assert bad.error
    assert "forward() returned nothing" in bad.error.message


def test_a_list_of_texts_of_the_wrong_length_fails_its_own_request(tmp_path: Path) -> None:
    """The lists of the other requests have the right length; formerly they got a traceback."""
    save(Letters(), tmp_path)
    model = serve(backend, tmp_path, config([put("texts", "STRING", 1)], [put("y", "STRING", 2)]))
    good, bad, other = ask(model, *([text("texts", [[word]])] for word in ("ab", "abc", "cd")))
    assert (good.values("y"), other.values("y")) == ([["a", "b"]], [["c", "d"]])
    assert bad.error
    assert "output 'y' has 3 texts, which do not fill the shape [1, 2]" in bad.error.message


def test_a_pending_sign_is_written_out(tmp_path: Path) -> None:
    """Such a view cannot be passed on unchanged."""
    save(Imaginary(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 2)], [put("y", "FP32", 2)]))
    assert ask(model, [numbers("x", [[1, 2]])])[0].values("y") == [[-1, -2]]


def test_what_breaks_while_an_answer_is_written_stays_with_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any exception."""
    save(torch.nn.Identity(), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1)], [put("y", "FP32", 1)]))
    whole = Tensor.from_dlpack

    def breaks(name: str, values: torch.Tensor) -> Any:
        if float(values.sum()) == 2:
            raise BufferError("a\ntrace in /opt\nno room")
        return whole(name, values)

    monkeypatch.setattr(Tensor, "from_dlpack", staticmethod(breaks))
    one, two, three = ask(model, *([numbers("x", [[value]])] for value in (1, 2, 3)))
    assert (one.values("y"), three.values("y")) == ([[1]], [[3]])
    assert two.error
    assert two.error.message == "the model failed: output 'y' cannot be sent: no room"


class Times(torch.nn.Module):
    """Has a number as its second argument."""

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        """Multiply."""
        return x * n


class Joined(torch.nn.Module):
    """Has a list of tensors as its argument."""

    def forward(self, xs: list[torch.Tensor]) -> torch.Tensor:
        """Join."""
        return torch.cat(xs)


class Spoken(torch.nn.Module):
    """Has text as its argument."""

    def forward(self, texts: list[str]) -> list[str]:
        """Give it back."""
        return texts


@pytest.mark.parametrize(
    ("module", "inputs", "words"),
    [
        (
            Times(),
            [put("x", "FP32", 1), put("n", "INT64", 1)],
            "passed to argument 'n' of forward(), which is int: ",
        ),
        (
            Joined(),
            [put("xs", "FP32", 1)],
            "'xs' is passed to argument 'xs' of forward(), which is List[Tensor]: ",
        ),
        (Spoken(), [put("texts", "FP32", 1)], "input 'texts' is TYPE_FP32, but argument 'texts' of forward() is List["),
        (
            torch.nn.Identity(),
            [put("x", "STRING", 1)],
            "input 'x' is TYPE_STRING, but argument 'input' of forward() is",
        ),
    ],
)
def test_an_argument_that_no_input_can_be_is_explained_at_loading(
    tmp_path: Path, module: torch.nn.Module, inputs: list[Any], words: str
) -> None:
    """Torch would report it in its own words, for every request."""
    save(module, tmp_path)
    with pytest.raises(Exception, match=r"is passed to argument|but argument") as caught:
        serve(backend, tmp_path, config(inputs, [put("y", "FP32", 1)]))
    assert words in str(caught.value)


def test_an_error_during_the_warm_up_is_marked(tmp_path: Path) -> None:
    """Triton reports this sentence for the model; errors of callers are not marked."""
    save(torch.nn.Linear(2, 1), tmp_path)
    warmup = [{"name": "zeros", "batch_size": 1, "inputs": {}, "count": 1}]
    model_config = config([put("x", "FP32", -1)], [put("y", "FP32", 1)], model_warmup=warmup)
    model = serve(backend, tmp_path, model_config)
    first, later = (ask(model, [numbers("x", [[1, 2, 3]])])[0].error for _ in range(2))
    assert first
    assert later
    assert first.message.startswith("warm-up (provide model_warmup data that the model accepts instead of zeros): the")
    assert later.message.startswith("the model failed: ")


def test_an_error_inside_of_a_prepared_module_is_an_ordinary_one(tmp_path: Path) -> None:
    """Formerly it ended the process with signal 11: torch's trace read functions that freezing had removed."""
    save(torch.nn.Conv1d(1, 1, 3), tmp_path)
    model = serve(backend, tmp_path, config([put("x", "FP32", 1, -1)], [put("y", "FP32", 1, -1)]))
    (short,) = ask(model, [numbers("x", [[[1, 1]]])])
    assert short.error
    assert "Kernel size can't be greater than actual input size" in short.error.message
