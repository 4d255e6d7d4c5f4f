"""Explanations as a new user gets them: the package with its extra `cli` alone, and a real Triton on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.local.session import Serving, User
from training import REPOSITORY
from training.digits_data import unseen_digits

pytestmark = pytest.mark.timeout(900)  # The first may have to fetch the server.


@pytest.fixture(scope="module")
def digits(user: User) -> Iterator[Serving]:
    with user.serving(REPOSITORY / "digits") as serving:
        yield serving


def test_a_digit_is_explained_and_drawn_without_torch(user: User, digits: Serving, tmp_path: Path) -> None:
    """As the page about it shows: numbers that add up, and a picture."""
    part, drawing = unseen_digits(2), tmp_path / "why.png"
    Image.fromarray((part.inputs[1, 0] * 255).astype(np.uint8)).save(tmp_path / "digit.png")
    question = ("explain", "digits", "--image", tmp_path / "digit.png", "--url", digits.http, "--samples", 512)
    done = user.tritonctl(*question, "-o", "json", "--png", drawing)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"{found['evaluations']} evaluations, {found['seconds']:.2f} s")
    assert found["target"]["index"] == [int(part.targets[1])]
    assert found["attributions"]["shape"] == [1, 28, 28]
    assert found["sum"] == pytest.approx(found["prediction"] - found["baseValue"])
    assert drawing.read_bytes().startswith(b"\x89PNG")


def test_gradients_ask_for_their_extra(user: User, digits: Serving, tmp_path: Path) -> None:
    """That user has no torch."""
    row, file = tmp_path / "row.csv", REPOSITORY / "linear_regression" / "1" / "model.pt"
    row.write_text("9,10\n")
    done = user.tritonctl("explain", "linear_regression", "--csv", row, "--model-file", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert "gradients need captum: pip install 'triton-operator[explain]'" in done.stderr
