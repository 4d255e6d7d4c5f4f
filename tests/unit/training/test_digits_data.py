"""The handwritten digits: splitting and resizing."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from training import digits_data
from training.dataset import Part
from training.split import stratified


def test_every_digit_is_in_exactly_one_part() -> None:
    """No test image is in the training set."""
    dataset = digits_data.load()
    pictures = [{each.tobytes() for each in part.inputs} for part in (dataset.train, dataset.validation, dataset.test)]
    assert dataset.rows() == {"train": 1087, "validation": 355, "test": 355}
    assert len(set.union(*pictures)) == sum(len(each) for each in pictures) == 1797


def test_each_part_has_all_digits_at_the_same_share() -> None:
    """Scores of a part without sevens would not cover sevens."""
    dataset = digits_data.load()
    for part in (dataset.train, dataset.validation, dataset.test):
        shares = np.bincount(part.targets.astype(np.int64), minlength=10) / len(part)
        assert np.allclose(shares, 0.1, atol=0.005)


def test_the_split_never_changes() -> None:
    """Another split gives another test set: update the model cards and this checksum together."""
    rows = stratified(np.arange(1797, dtype=np.int64) % 10)
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    assert digest == "6a36b76c71c19028111f55ba24f1a310fc629fba62a8bf966a599c0b8eb1a6be"


def test_images_have_the_shape_and_range_of_the_models_input() -> None:
    """28x28, one channel, from 0 (paper) to 1 (ink)."""
    images = digits_data.unseen_digits().inputs
    assert images.shape == (355, 1, 28, 28)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)


def test_sequences_are_the_same_digits_line_by_line() -> None:
    """Ten lines of ten pixels, the original 8x8 with a border of paper, in the same order as the images."""
    sequences, pictures = digits_data.load_sequences().test, digits_data.load().test
    assert sequences.inputs.shape == (355, 10, 10)
    assert sequences.inputs.dtype == np.float32
    assert np.array_equal(sequences.targets, pictures.targets)
    inner = sequences.inputs[:, 1:-1, 1:-1]
    assert np.array_equal(digits_data.resize(inner, 28), pictures.inputs[:, 0])
    assert sequences.inputs.sum() == inner.sum()


def test_a_count_selects_the_first_unseen_digits() -> None:
    """The demo shows some of them, and the end-to-end tests send all."""
    some, everything = digits_data.unseen_digits(8), digits_data.unseen_digits()
    assert len(some) == 8
    assert np.array_equal(some.inputs, everything.inputs[:8])
    assert np.array_equal(some.targets, everything.targets[:8])


def test_resizing_keeps_a_uniform_grey() -> None:
    """The weights of each new pixel add up to one, also at the edges."""
    assert np.allclose(digits_data.resize(np.full((1, 8, 8), 0.3, dtype=np.float32), 28), 0.3)


def test_resizing_interpolates_linearly_between_pixel_centres() -> None:
    """Two pixels become four: the outer ones keep their values, and the inner ones are at one and three quarters."""
    line = digits_data.resize(np.array([[[0, 1], [0, 1]]], dtype=np.float32), 4)[0, 0]
    assert line.tolist() == [0, 0.25, 0.75, 1]


def test_resizing_does_not_transpose_the_image() -> None:
    """Rows stay rows."""
    image = np.zeros((1, 8, 8), dtype=np.float32)
    image[0, 0] = 1
    resized = digits_data.resize(image, 28)[0]
    assert resized[0].min() == 1
    assert resized[-1].max() == 0


def test_inputs_without_a_target_are_rejected() -> None:
    """They would be paired with the wrong targets."""
    with pytest.raises(ValueError, match="3 inputs but 2 targets"):
        Part(np.zeros((3, 1), dtype=np.float32), np.zeros(2, dtype=np.int64))
