"""Models with torch: gradients of a file, KernelSHAP compared with Captum, and faithfulness."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training import REPOSITORY
from training.digits_data import unseen_digits
from triton_operator.explain import Explanation, ExplanationError, ExplanationRequest, Method, explain, explain_file
from triton_operator.explain.gradients import load
from triton_operator.explain.types import Array, Floats

DIGITS = REPOSITORY / "digits" / "1" / "model.pt"
LINEAR = REPOSITORY / "linear_regression" / "1" / "model.pt"
RUNS = 10


@pytest.fixture(scope="module")
def digits() -> Callable[[Array], Array]:
    """The committed model as a callable."""
    return predictor(load(DIGITS))


def predictor(module: nn.Module) -> Callable[[Array], Array]:
    def predict(rows: Array) -> Array:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(rows)))

    return predict


class Tokens(nn.Module):
    """Input: token ids [n, 6], with 0 as padding. Output: two classes."""

    def __init__(self, *, masked: bool = False, counts: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.masked, self.counts = masked, counts
        self.positions = nn.Embedding(6, 4)
        self.words = nn.Embedding(20, 4, padding_idx=0)
        self.rnn = nn.LSTM(4, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        embedded = self.words(tokens) + self.positions(torch.arange(6))
        if self.masked:
            embedded = embedded * (tokens != 0).unsqueeze(-1)
        states, _ = self.rnn(embedded)
        answer = torch.softmax(self.head(states[:, -1]), dim=1)
        if self.counts:
            answer = answer + tokens.sum(dim=1, keepdim=True)
        return answer


class Sums(nn.Module):
    """Integers without an embedding."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.float().sum(dim=1, keepdim=True)


def saved(module: nn.Module, folder: Path) -> Path:
    with pytest.warns(match="deprecated"):
        torch.jit.save(torch.jit.script(module.eval()), folder / "model.pt")
    return folder / "model.pt"


@pytest.mark.parametrize("ask", ["file", "answers"])
def test_the_linear_model_is_its_weights_times_the_change(ask: str) -> None:
    """Within 1e-6, from its file and from its outputs."""
    row, baseline = np.array([9, 10], dtype=np.float32), np.array([1, 2], dtype=np.float32)
    module = load(LINEAR)
    expected = module.linear.weight.detach().numpy()[0] * (row - baseline)
    options = ExplanationRequest(baseline=baseline)
    explanation = explain_file(LINEAR, row, options) if ask == "file" else explain(predictor(module), row, options)
    assert np.allclose(explanation.attributions, expected, atol=1e-6, rtol=0)
    assert explanation.gap == pytest.approx(0, abs=1e-6)


def test_sampled_shapley_values_are_those_of_captum() -> None:
    """For a network with ten inputs; this project's values are exact, Captum's are sampled."""
    from captum.attr import KernelShap

    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1)).eval()
    row = torch.randn(10)
    theirs = KernelShap(network).attribute(row[None], torch.zeros(1, 10), n_samples=6000, perturbations_per_eval=500)
    exact = explain(predictor(network), row.numpy(), ExplanationRequest(samples=2**10 + 1))
    sampled = explain(predictor(network), row.numpy(), ExplanationRequest(samples=400))
    assert exact.error == 0 < sampled.error
    assert np.allclose(theirs[0].detach().numpy(), exact.attributions, atol=0.05)
    assert np.allclose(sampled.attributions, exact.attributions, atol=5 * sampled.error)


@pytest.mark.parametrize("method", [Method.KERNEL_SHAP, Method.OCCLUSION, Method.INTEGRATED_GRADIENTS])
def test_without_the_pixels_that_count_most_a_digit_is_not_recognised(
    method: Method, digits: Callable[[Array], Array]
) -> None:
    """Deleting the top pixels lowers the prediction far more than deleting random pixels of the digit."""
    random = np.random.default_rng(1)
    kept, kept_at_random = [], []
    for picture in unseen_digits(5).inputs:
        options = ExplanationRequest(method=method, samples=256)
        explanation = (
            explain_file(DIGITS, picture, options) if "gradients" in method else explain(digits, picture, options)
        )
        ink = np.flatnonzero(picture)
        strongest = np.argsort(-explanation.attributions.reshape(-1))[: len(ink) // 4]
        kept.append(left(digits, picture, strongest, explanation))
        kept_at_random += [
            left(digits, picture, random.choice(ink, len(strongest), replace=False), explanation) for _ in range(RUNS)
        ]
    print(f"{method}: {np.mean(kept):.3f} left, {np.mean(kept_at_random):.3f} at random")
    assert np.mean(kept) < np.mean(kept_at_random) - 0.3


def left(model: Callable[[Array], Array], picture: Array, pixels: Array, explanation: Explanation) -> float:
    """The probability of the explained class without these pixels."""
    without = picture.copy().reshape(-1)
    without[pixels] = 0
    return float(model(without.reshape(1, *picture.shape))[(0, *explanation.target)])


@pytest.mark.parametrize("method", [Method.AUTO, Method.SALIENCY, Method.SMOOTH_GRAD])
def test_gradients_of_a_digit(method: Method) -> None:
    """Only integrated gradients guarantee additivity."""
    picture = unseen_digits(1).inputs[0]
    explanation = explain_file(DIGITS, picture, ExplanationRequest(method=method, seed=5))
    assert explanation.attributions.shape == (1, 28, 28)
    assert explanation.attributions.any()
    if method is Method.AUTO:
        assert explanation.method is Method.INTEGRATED_GRADIENTS
        assert explanation.gap == pytest.approx(0, abs=0.01)
    else:
        assert explanation.gap is None
        assert any("do not add up" in note for note in explanation.notes)
    again = explain_file(DIGITS, picture, ExplanationRequest(method=method, seed=5))
    assert np.array_equal(explanation.attributions, again.attributions)


@pytest.mark.parametrize(
    ("method", "unused"),
    [
        (Method.INTEGRATED_GRADIENTS, {"samples", "patch", "seed"}),
        (Method.SALIENCY, {"samples", "patch", "seed", "baseline"}),
        (Method.SMOOTH_GRAD, {"samples", "patch", "baseline"}),
    ],
)
def test_gradients_say_which_options_have_no_effect(method: Method, unused: set[str]) -> None:
    picture = unseen_digits(1).inputs[0]
    explanation = explain_file(
        DIGITS, picture, ExplanationRequest(method=method, samples=60, patch=4, seed=5, baseline=0.5, target=3)
    )
    assert {note.split()[0].removeprefix("--") for note in explanation.notes if "has no effect" in note} == unused
    plain = explain_file(DIGITS, picture, ExplanationRequest(method=method))
    assert not [note for note in plain.notes if "has no effect" in note]
    assert any("is the largest of 10; --target chooses another" in note for note in plain.notes)


@pytest.mark.parametrize("masked", [False, True])
def test_tokens_are_explained_in_the_embedding(tmp_path: Path, *, masked: bool) -> None:
    """The attributions add up; padding gets zero, and equal tokens in different positions get different values."""
    path = saved(Tokens(masked=masked), tmp_path)
    explanation = explain_file(path, np.array([5, 7, 5, 3, 0, 0]))
    assert explanation.method is Method.EMBEDDING_GRADIENTS
    assert explanation.gap == pytest.approx(0, abs=1e-4)
    assert explanation.attributions.shape == (6,)
    assert not explanation.attributions[4:].any()
    assert explanation.attributions[0] != pytest.approx(explanation.attributions[2], abs=1e-9)
    module = load(path)
    plain = predictor(module)(np.array([[5, 7, 5, 3, 0, 0]]))
    assert explanation.prediction == pytest.approx(plain[(0, *explanation.target)])


def test_embedding_gradients_are_captums_of_the_python_module(tmp_path: Path) -> None:
    """For a Python module, Captum has hooks for inner layers."""
    from captum.attr import LayerIntegratedGradients

    module = Tokens()
    explanation = explain_file(saved(module, tmp_path), np.array([5, 7, 5, 3, 0, 0]))
    layer = LayerIntegratedGradients(module, module.words)
    tokens = torch.tensor([[5, 7, 5, 3, 0, 0]])
    theirs: Floats = layer.attribute(tokens, torch.zeros_like(tokens), target=explanation.target[0], n_steps=64).sum(
        -1
    )[0]
    assert np.allclose(explanation.attributions, np.asarray(theirs.detach()), atol=1e-5)  # type: ignore[attr-defined]


class Weighted(nn.Module):
    """The first argument has the weights, the second the weighted values."""

    def forward(self, weights: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        return (weights * row).sum(dim=1, keepdim=True)


@pytest.mark.parametrize("method", [Method.AUTO, Method.SALIENCY, Method.SMOOTH_GRAD])
def test_other_arguments_stay_as_they_are(tmp_path: Path, method: Method) -> None:
    weights, row = np.array([2, -1], dtype=np.float32), np.array([3, 4], dtype=np.float32)
    explanation = explain_file(saved(Weighted(), tmp_path), row, ExplanationRequest(method=method), others={0: weights})
    assert np.allclose(explanation.attributions, weights * row if method is Method.AUTO else weights, atol=1e-5)


def test_an_invalid_position_is_rejected() -> None:
    with pytest.raises(ExplanationError, match=r"others: are arguments \[5\]; positions start at 0"):
        explain_file(LINEAR, np.ones(2, dtype=np.float32), others={5: np.ones(1)})


@pytest.mark.parametrize("model", ["chinese_texts_model", "bert_texts_model"])
def test_the_committed_text_models_are_explained_in_their_embedding(model: str) -> None:
    """BERT's mask accompanies its tokens, and padding gets zero."""
    path = REPOSITORY / model / "1" / "model.pt"
    length = 24 if model == "bert_texts_model" else 10
    tokens = np.zeros(length, dtype=np.int64)
    tokens[:4] = 2, 5, 9, 3
    others = {1: (tokens != 0).astype(np.int64)} if model == "bert_texts_model" else {}
    explanation = explain_file(path, tokens, others=others)
    assert explanation.method is Method.EMBEDDING_GRADIENTS
    assert explanation.attributions[:4].all()
    assert not explanation.attributions[4:].any()
    assert explanation.gap == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("module", "row", "options", "complaint"),
    [
        (
            Sums(),
            [1, 2],
            ExplanationRequest(),
            "method: the model takes integers and has no embedding.* on the served model",
        ),
        (
            Tokens(),
            [1] * 6,
            ExplanationRequest(method=Method.SALIENCY),
            "method: saliency needs numbers that can change",
        ),
        (
            Tokens(counts=True),
            [1] * 6,
            ExplanationRequest(),
            "method: the model uses the token ids outside its embedding",
        ),
        (Tokens(), [99] * 6, ExplanationRequest(), "row: the model does not take int64"),
        (Tokens(), [1] * 6, ExplanationRequest(method=Method.KERNEL_SHAP), "method: kernel-shap needs a served model"),
        (Tokens(), [1] * 6, ExplanationRequest(target=2), "target: 2 is not in the model's output, which is 2"),
    ],
)
def test_inputs_without_gradient_are_rejected_with_an_alternative(
    tmp_path: Path, module: nn.Module, row: list[int], options: ExplanationRequest, complaint: str
) -> None:
    with pytest.raises(ExplanationError, match=complaint):
        explain_file(saved(module, tmp_path), np.array(row), options)


def test_a_text_needs_its_tokenizer() -> None:
    with pytest.raises(ExplanationError, match="row: is a text, and the file takes numbers"):
        explain_file(DIGITS, "我爱你")


def test_a_row_of_another_shape_is_refused() -> None:
    with pytest.raises(ExplanationError, match=r"row: the model does not take float32 \[3\]"):
        explain_file(LINEAR, np.ones(3, dtype=np.float32))


def test_other_files_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"no archive")
    with pytest.raises(ExplanationError, match=r"model-file: .*model.pt is not a TorchScript file"):
        explain_file(tmp_path / "model.pt", np.ones(2, dtype=np.float32))


@pytest.mark.parametrize("missing", ["captum", "torch"])
def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ExplanationError, match=r"pip install '\.\[explain\]'"):
        explain_file(LINEAR, np.ones(2, dtype=np.float32))
