"""Explanations of callables whose attributions are known."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from triton_operator.explain import ExplanationError, ExplanationRequest, Method, RowKind, explain
from triton_operator.explain.types import Array, Floats

numbers = st.floats(-10, 10, allow_nan=False, width=32)
WEIGHTS = np.array([3.0, -2.0, 0.0, 0.5])
GOOD = {"爱": 2.0, "good": 2.0, "不": -1.0, "not ": -1.0}


def linear(rows: Array) -> Floats:
    """One number per row."""
    return np.asarray(rows @ WEIGHTS + 7, dtype=np.float64)


def two_classes(rows: Array) -> Floats:
    """The second output is the larger one for a bright image, and depends only on its upper left quarter."""
    light = rows[:, :, :4, :4].mean(axis=(1, 2, 3))
    return np.stack([1 - light, light], axis=1)


def mood(texts: Array) -> Floats:
    """The weighted number of positive and negative words."""
    return np.array([sum(weight for word, weight in GOOD.items() if word in text) for text in texts])


@settings(deadline=None)
@given(hnp.arrays(np.float64, 4, elements=numbers), hnp.arrays(np.float64, 4, elements=numbers))
def test_a_linear_model_is_its_weights_times_the_change(row: Floats, baseline: Floats) -> None:
    """For every method that guarantees additivity."""
    for method in (Method.KERNEL_SHAP, Method.OCCLUSION):
        if np.array_equal(row, baseline):
            continue
        explanation = explain(linear, row, ExplanationRequest(method=method, baseline=baseline))
        assert np.allclose(explanation.attributions, WEIGHTS * (row - baseline), atol=1e-9)
        assert explanation.gap == pytest.approx(0, abs=1e-9)


def test_the_mean_of_background_rows_is_a_baseline() -> None:
    background = np.array([[1.0, 1, 1, 1], [3, 3, 3, 3]])
    explanation = explain(linear, np.ones(4), ExplanationRequest(baseline="mean", background=background))
    assert explanation.baseline == "the mean of 2 rows"
    assert np.allclose(explanation.attributions, -WEIGHTS)
    assert explanation.base_value == pytest.approx(linear(np.full((1, 4), 2.0))[0])


def test_the_likeliest_class_is_explained_unless_another_is_named() -> None:
    picture = np.ones((1, 8, 8), dtype=np.float32)
    likeliest = explain(two_classes, picture, ExplanationRequest(patch=4))
    other = explain(two_classes, picture, ExplanationRequest(patch=4, target=0))
    assert (likeliest.target, other.target) == ((1,), (0,))
    assert likeliest.kind is RowKind.IMAGE
    assert likeliest.attributions[0, :4, :4].sum() == pytest.approx(1)
    assert np.allclose(likeliest.attributions[0, 4:], 0)
    assert np.allclose(likeliest.attributions, -other.attributions)


@pytest.mark.parametrize("text", ["我不爱你", "this is not good"])
def test_the_words_that_count_get_what_they_count(text: str) -> None:
    explanation = explain(mood, text)
    shares = dict(zip(explanation.pieces, explanation.attributions.round(9).tolist(), strict=True))
    assert explanation.kind is RowKind.TEXT
    assert {piece: share for piece, share in shares.items() if share} == {
        word: weight for word, weight in GOOD.items() if word in text
    }
    assert explanation.baseline == "the piece is removed"


def test_a_text_baseline_replaces_masked_pieces() -> None:
    """Otherwise, the other pieces would move, which affects a model that uses positions."""
    seen: list[str] = []

    def model(texts: Array) -> Floats:
        seen.extend(texts)
        return mood(texts)

    explanation = explain(model, "我爱你", ExplanationRequest(baseline="□"))
    assert {len(text) for text in seen} == {3}
    assert "□" in explanation.baseline


@pytest.mark.parametrize(
    ("method", "samples", "requested"),
    [(Method.KERNEL_SHAP, 200, 200), (Method.OCCLUSION, 200, 43), (Method.AUTO, 60, 43), (Method.AUTO, 200, 200)],
)
def test_rows_are_evaluated_in_batches_up_to_the_limit(method: Method, samples: int, requested: int) -> None:
    """The default method is Shapley values if the number of rows permits."""
    sizes: list[int] = []
    progress: list[tuple[int, int]] = []

    def model(rows: Array) -> Floats:
        sizes.append(len(rows))
        return np.asarray(np.tanh(rows.sum(axis=1) / 10))

    explanation = explain(
        model,
        np.ones(40),
        ExplanationRequest(method=method, samples=samples),
        batch=16,
        progress=lambda *at: progress.append(at),
    )
    assert requested * 0.9 <= sum(sizes) <= requested
    assert max(sizes) == 16
    assert explanation.evaluations == sum(sizes)
    assert progress[-1][0] == progress[-1][1] == sum(sizes) - 1


def test_too_few_samples_for_shapley_values_are_noted() -> None:
    """Another method gives other numbers: the note has the requested method, its minimum and the option."""
    few = explain(linear_sum, np.ones(40), ExplanationRequest(samples=60))
    assert few.method is Method.OCCLUSION
    assert any("occlusion, as kernel-shap needs 83 samples for 40 pieces and may use 60" in note for note in few.notes)
    for options in (ExplanationRequest(samples=83), ExplanationRequest(samples=60, method=Method.OCCLUSION)):
        assert not any("kernel-shap needs" in note for note in explain(linear_sum, np.ones(40), options).notes)
    wide = explain(linear_sum, np.ones(1500))
    assert any("kernel-shap needs 3,003 samples for 1,500 pieces and may use 2,048" in note for note in wide.notes)


@pytest.mark.parametrize(("pieces", "samples"), [(1, 3), (2, 5), (3, 9), (4, 11)])
def test_shapley_values_are_kept_as_long_as_the_samples_allow(pieces: int, samples: int) -> None:
    """At the minimum: the coalitions of few pieces are fewer than twice their number."""
    explanation = explain(linear_sum, np.ones(pieces), ExplanationRequest(samples=samples))
    assert (explanation.method, explanation.evaluations <= samples) == (Method.KERNEL_SHAP, True)
    if samples > 3:
        with pytest.raises(ExplanationError, match=f"samples: kernel-shap needs {samples} samples for {pieces} pieces"):
            explain(linear_sum, np.ones(pieces), ExplanationRequest(samples=samples - 1, method=Method.KERNEL_SHAP))


@pytest.mark.parametrize(
    ("row", "options", "unused"),
    [
        (np.ones(4), ExplanationRequest(seed=3), "seed has no effect: all combinations were evaluated"),
        (
            np.ones(4),
            ExplanationRequest(seed=3, method=Method.OCCLUSION),
            "seed has no effect: occlusion does not use random numbers",
        ),
        (np.ones(4), ExplanationRequest(patch=3), "patch has no effect: the row is not an image"),
        ("good", ExplanationRequest(patch=3), "patch has no effect: the row is not an image"),
        (
            "good",
            ExplanationRequest(names=("a",)),
            "names has no effect: the parts of a text are named by its own words or characters",
        ),
    ],
)
def test_unused_options_are_noted(row: Array | str, options: ExplanationRequest, unused: str) -> None:
    """Used options are not."""
    explanation = explain(mood if isinstance(row, str) else linear, row, options)
    assert [note.replace("--", "") for note in explanation.notes] == [unused]
    used = ExplanationRequest(seed=3, baseline=0.5, samples=200)
    assert explain(linear_sum, np.ones(40), used).notes == ()


def test_choosing_the_largest_output_is_noted() -> None:
    """The note says how to select another; there is none for a selected or a single output."""
    picture = np.ones((1, 8, 8), dtype=np.float32)
    explanation = explain(two_classes, picture, ExplanationRequest(patch=4))
    assert explanation.notes == ("output 1 is the largest of 2; --target chooses another",)
    assert explain(two_classes, picture, ExplanationRequest(patch=4, target=1)).notes == ()
    assert explain(linear, np.ones(4)).notes == ()


def linear_sum(rows: Array) -> Floats:
    return np.asarray(rows.sum(axis=1), dtype=np.float64)


def test_the_gap_of_occlusion_is_reported() -> None:
    """Two pieces that can replace each other get zero, and the gap is the whole prediction."""
    explanation = explain(
        lambda rows: rows.max(axis=1), np.array([1.0, 1.0]), ExplanationRequest(method=Method.OCCLUSION)
    )
    shared = explain(lambda rows: rows.max(axis=1), np.array([1.0, 1.0]))
    assert explanation.attributions.tolist() == [0, 0]
    assert any("can replace each other" in note for note in explanation.notes)
    assert not shared.notes
    assert explanation.gap == pytest.approx(1)
    assert np.allclose(shared.attributions, [0.5, 0.5])


@pytest.mark.parametrize(
    ("row", "options", "complaint"),
    [
        (np.ones(4), ExplanationRequest(target=3), "target: 3 is not in the model's output, which is one number"),
        (np.ones(4), ExplanationRequest(target="dog"), "target: 'dog' is a label"),
        (np.zeros(4), ExplanationRequest(), "row: is the baseline itself"),
        (np.ones(4), ExplanationRequest(baseline="mean"), "baseline: mean needs background rows"),
        (np.ones(4), ExplanationRequest(baseline="blue"), "baseline: 'blue' is neither zeros, mean nor a number"),
        (np.ones(4), ExplanationRequest(baseline=np.ones(3)), r"baseline: has the shape \[3\], the row \[4\]"),
        (np.ones(4), ExplanationRequest(method=Method.SALIENCY), "method: saliency needs the model file"),
        (np.ones(4), ExplanationRequest(method=Method.OCCLUSION, samples=6), "samples: 4 pieces need 7 evaluations"),
        (np.array(["a"]), ExplanationRequest(), "row: holds <U1"),
        ("", ExplanationRequest(), "row: is the baseline itself"),
        ("good", ExplanationRequest(baseline=0.5), "baseline: of a text must be a text"),
        (np.full(4, np.inf), ExplanationRequest(), "model: returned values that are not finite"),
    ],
)
def test_invalid_requests_are_rejected_with_the_reason(
    row: Array | str, options: ExplanationRequest, complaint: str
) -> None:
    with pytest.raises(ExplanationError, match=complaint), np.errstate(invalid="ignore"):
        explain(mood if isinstance(row, str) else linear, row, options)


def test_a_missing_output_row_is_an_error() -> None:
    with pytest.raises(ExplanationError, match="model: returned shape"):
        explain(lambda rows: np.ones(len(rows) + 1), np.ones(4))
