"""The handwritten digits: how they are divided and resized."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from training import digits_data
from training.dataset import Part
from training.split import stratified


def test_every_digit_is_in_exactly_one_part() -> None:
    """No picture that the model is tested with was there when it learned."""
    dataset = digits_data.load()
    pictures = [{each.tobytes() for each in part.inputs} for part in (dataset.train, dataset.validation, dataset.test)]
    assert dataset.rows() == {"train": 1087, "validation": 355, "test": 355}
    assert len(set.union(*pictures)) == sum(len(each) for each in pictures) == 1797


def test_each_part_has_all_digits_at_the_same_share() -> None:
    """A part without sevens would say nothing about sevens."""
    dataset = digits_data.load()
    for part in (dataset.train, dataset.validation, dataset.test):
        shares = np.bincount(part.targets.astype(np.int64), minlength=10) / len(part)
        assert np.allclose(shares, 0.1, atol=0.005)


def test_the_split_never_changes() -> None:
    """Whoever changes it compares scores of different tests: model cards and this sum must then be made anew."""
    rows = stratified(np.arange(1797, dtype=np.int64) % 10)
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    assert digest == "6a36b76c71c19028111f55ba24f1a310fc629fba62a8bf966a599c0b8eb1a6be"


def test_pictures_are_what_the_model_takes() -> None:
    """28x28, one channel, from paper 0 to ink 1."""
    images = digits_data.unseen_digits().inputs
    assert images.shape == (355, 1, 28, 28)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)


def test_sequences_are_the_same_digits_line_by_line() -> None:
    """Ten lines of ten pixels: the scanned eight in a frame of paper, in the same order as the pictures."""
    sequences, pictures = digits_data.load_sequences().test, digits_data.load().test
    assert sequences.inputs.shape == (355, 10, 10)
    assert sequences.inputs.dtype == np.float32
    assert np.array_equal(sequences.targets, pictures.targets)
    inner = sequences.inputs[:, 1:-1, 1:-1]
    assert np.array_equal(digits_data.resize(inner, 28), pictures.inputs[:, 0])
    assert sequences.inputs.sum() == inner.sum()


def test_a_short_list_of_unseen_digits_starts_the_long_one() -> None:
    """The demo shows some, the end-to-end tests send all."""
    some, everything = digits_data.unseen_digits(8), digits_data.unseen_digits()
    assert len(some) == 8
    assert np.array_equal(some.inputs, everything.inputs[:8])
    assert np.array_equal(some.targets, everything.targets[:8])


def test_resizing_keeps_an_even_grey() -> None:
    """The weights of each new pixel add up to one, at the edges too."""
    assert np.allclose(digits_data.resize(np.full((1, 8, 8), 0.3, dtype=np.float32), 28), 0.3)


def test_resizing_draws_a_straight_line_between_pixel_centres() -> None:
    """Two pixels become four: the outer ones keep their value, the inner ones lie a quarter of the way in."""
    line = digits_data.resize(np.array([[[0, 1], [0, 1]]], dtype=np.float32), 4)[0, 0]
    assert line.tolist() == [0, 0.25, 0.75, 1]


def test_resizing_does_not_turn_the_picture() -> None:
    """Rows stay rows."""
    image = np.zeros((1, 8, 8), dtype=np.float32)
    image[0, 0] = 1
    resized = digits_data.resize(image, 28)[0]
    assert resized[0].min() == 1
    assert resized[-1].max() == 0


def test_inputs_without_a_target_are_refused() -> None:
    """They would be paired with the wrong ones."""
    with pytest.raises(ValueError, match="3 inputs but 2 targets"):
        Part(np.zeros((3, 1), dtype=np.float32), np.zeros(2, dtype=np.int64))
