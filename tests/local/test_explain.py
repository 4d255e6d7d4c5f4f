"""Attributions with only the extra `cli` installed, and a real Triton on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.local.session import Serving, User
from training import REPOSITORY
from training.digits_data import unseen_digits
from training.text_data import sentences
from triton_operator.explain import RowKind
from triton_operator.sdk import Client, Protocol
from triton_operator.sdk.tensors import Array

UNSEEN = [each.text for each in sentences("chinese", "test")[::40] if len(each.text) <= 10]
"""Sentences of the test set, whose patterns are not in the training set."""

pytestmark = pytest.mark.timeout(900)  # The first test may download the server.


@pytest.fixture(scope="module")
def digits(user: User) -> Iterator[Serving]:
    with user.serving(REPOSITORY / "digits") as serving:
        yield serving


def test_a_digit_is_explained_and_drawn_without_torch(user: User, digits: Serving, tmp_path: Path) -> None:
    """The attributions add up to the prediction, and the command writes an image."""
    part, drawing = unseen_digits(2), tmp_path / "why.png"
    Image.fromarray((part.inputs[1, 0] * 255).astype(np.uint8)).save(tmp_path / "digit.png")
    question = ("explain", "digits", "--image", tmp_path / "digit.png", "--url", digits.http, "--samples", 512)
    done = user.tritonctl(*question, "-o", "json", "--png", drawing)
    assert done.returncode == 0, done.stderr
    explanation = json.loads(done.stdout)
    print(f"{explanation['evaluations']} evaluations, {explanation['seconds']:.2f} s")
    assert explanation["target"]["index"] == [int(part.targets[1])]
    assert explanation["attributions"]["shape"] == [1, 28, 28]
    assert explanation["sum"] == pytest.approx(explanation["prediction"] - explanation["baseValue"])
    assert drawing.read_bytes().startswith(b"\x89PNG")


def test_gradients_ask_for_their_extra(user: User, digits: Serving, tmp_path: Path) -> None:
    """The environment of `user` does not contain torch."""
    row, file = tmp_path / "row.csv", REPOSITORY / "linear_regression" / "1" / "model.pt"
    row.write_text("9,10\n")
    done = user.tritonctl("explain", "linear_regression", "--csv", row, "--model-file", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert "gradients need captum: pip install '.[explain]'" in done.stderr


@pytest.fixture(scope="module")
def texts(user: User) -> Iterator[Serving]:
    example = REPOSITORY.parent / "examples" / "chinese-texts.yaml"
    with user.serving(example, "--repository", REPOSITORY) as serving:
        yield serving


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_characters_that_count_most_are_those_that_the_label_hangs_on(texts: Serving, protocol: Protocol) -> None:
    """Without the strongest character, the label's probability drops far more than without another one."""
    url = texts.http if protocol is Protocol.HTTP else texts.grpc
    lost, lost_at_random, seconds = [], [], []
    with Client("chinese-texts", protocol=protocol, url=url) as client:
        for text in UNSEEN:
            explanation = client.explain("chinese_texts", text)
            assert (explanation.kind, explanation.pieces) == (RowKind.TEXT, tuple(text))
            assert explanation.gap == pytest.approx(0, abs=1e-6)
            assert explanation.error == 0
            shorter = [text[:at] + text[at + 1 :] for at in range(len(text))]
            drops = explanation.prediction - probabilities(client, shorter, explanation.label)
            strongest = int(explanation.attributions.argmax())
            lost.append(drops[strongest])
            lost_at_random.append(np.delete(drops, strongest).mean())
            seconds.append(explanation.seconds)
    print(
        f"{protocol}: {np.mean(lost):.3f} lost, {np.mean(lost_at_random):.3f} at random, {max(seconds):.2f} s at most"
    )
    assert np.mean(lost) > 3 * np.mean(lost_at_random)


def probabilities(client: Client, texts: list[str], label: str) -> Array:
    """Return the probability of one of the two labels for each text."""
    answer = client.infer("chinese_texts", texts).outputs
    same = np.array([each.decode() == label for each in answer["LABEL"][:, 0]])
    return np.asarray(np.where(same, answer["PROBABILITY"][:, 0], 1 - answer["PROBABILITY"][:, 0]))


def test_a_text_is_shown_with_its_weights(user: User, texts: Serving) -> None:
    """爱 has the largest weight in 我爱你."""
    done = user.tritonctl("explain", "chinese_texts", "--text", "我爱你", "--url", texts.http)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    weights = {piece: float(value) for piece, value in re.findall(r"(\w)\(([+-][\d.]+)\)", done.stdout)}
    assert list(weights) == ["我", "爱", "你"]
    assert max(weights, key=lambda piece: weights[piece]) == "爱"
    assert "output friendly is 0.9" in done.stdout
