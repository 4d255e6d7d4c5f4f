"""Digits drawn with characters of a terminal."""

from __future__ import annotations

import numpy as np

from training.digits_data import unseen_digits
from training.picture import draw


def test_each_character_holds_two_pixels() -> None:
    """Upper, lower, both, or neither."""
    image = np.array([[1, 0, 1, 0], [0, 1, 1, 0]], dtype=np.float32)
    assert draw(image) == "▀▄█ "


def test_an_odd_last_line_is_padded_with_paper() -> None:
    """No pixel is lost or added."""
    assert draw(np.ones((3, 2), dtype=np.float32)) == "██\n▀▀"


def test_a_digit_is_fourteen_lines_without_colour() -> None:
    """Output to a file or a log contains no escape sequences."""
    lines = draw(unseen_digits(1).inputs[0]).splitlines()
    assert [len(line) for line in lines] == [28] * 14
    assert set("".join(lines)) <= set(" ▀▄█")


def test_colours_are_grey_tones_and_are_reset_at_the_end_of_the_line() -> None:
    """Paper is the darkest of the 24 greys, and ink the brightest."""
    assert draw(np.array([[1], [0]], dtype=np.float32), colour=True) == "\x1b[38;5;255;48;5;232m▀\x1b[0m"
