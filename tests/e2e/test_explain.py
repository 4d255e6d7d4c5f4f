"""Attributions of served models over HTTP and gRPC: the pixels and the characters that determine the output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import serve
from training.digits_data import unseen_digits
from triton_operator.explain import Explanation, RowKind
from triton_operator.sdk import Protocol
from triton_operator.sdk.tensors import Array

SAMPLES = 512
RUNS = 10


TEXT_MODELS = ("chinese_texts", "character_tokenizer", "chinese_texts_model", "feeling_labels")


@pytest.fixture(scope="module", autouse=True)
def served(kube: Kube, model_deployment: Callable[..., Object]) -> None:
    texts = [{"name": name} for name in TEXT_MODELS]
    kube.apply(model_deployment("digits"), model_deployment("chinese_texts", models=texts))
    kube.wait_ready("digits")
    kube.wait_ready("chinese-texts", 240)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_pixels_that_count_most_are_those_without_which_the_digit_is_lost(
    protocol: Protocol, node: RunningCluster, kube: Kube
) -> None:
    """The target is the model's prediction; deleting the top pixels lowers it far more than deleting random ones."""
    picture = unseen_digits(1).inputs[0]
    with serve(node, kube, "digits") as deployed, deployed.client(protocol) as client:
        explanation = client.explain("digits", picture, samples=SAMPLES)
        answer = client.infer("digits", picture).output[0]
        ink, random = np.flatnonzero(picture), np.random.default_rng(1)
        strongest = np.argsort(-explanation.attributions.reshape(-1))[: len(ink) // 4]
        chosen = [strongest, *(random.choice(ink, len(strongest), replace=False) for _ in range(RUNS))]
        left = client.infer("digits", np.stack([without(picture, pixels) for pixels in chosen])).output[
            :, explanation.target[0]
        ]
    print(
        f"{protocol}: {explanation.evaluations} evaluations, {explanation.seconds:.1f} s; "
        f"left {left[0]}, at random {left[1:]}"
    )
    check_sum(explanation)
    assert explanation.kind is RowKind.IMAGE
    assert explanation.target == (answer.argmax(),)
    assert explanation.prediction == pytest.approx(answer.max(), abs=1e-6)
    assert explanation.evaluations <= SAMPLES
    assert left[0] < left[1:].mean() - 0.3


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_chinese_text_hangs_on_the_character_that_says_it(
    protocol: Protocol, node: RunningCluster, kube: Kube
) -> None:
    with serve(node, kube, "chinese-texts") as deployed, deployed.client(protocol) as client:
        explanation = client.explain("chinese_texts", "我爱你")
    print(f"{protocol}: {explanation.evaluations} evaluations, {explanation.seconds:.1f} s; {explanation.attributions}")
    check_sum(explanation)
    assert (explanation.kind, explanation.pieces, explanation.label) == (RowKind.TEXT, ("我", "爱", "你"), "friendly")
    assert explanation.attributions.argmax() == 1


def check_sum(explanation: Explanation) -> None:
    assert explanation.gap == pytest.approx(0, abs=1e-9)
    assert np.abs(explanation.attributions).max() > 0


def without(picture: Array, pixels: Array) -> Array:
    """Return the picture with these pixels set to the background."""
    changed = picture.copy().reshape(-1)
    changed[pixels] = 0
    return changed.reshape(picture.shape)
