"""Digits as characters of a terminal."""

from __future__ import annotations

import numpy as np

from training.digits_data import unseen_digits
from training.picture import draw


def test_each_character_holds_two_pixels() -> None:
    """Upper, lower, both, none."""
    image = np.array([[1, 0, 1, 0], [0, 1, 1, 0]], dtype=np.float32)
    assert draw(image) == "▀▄█ "


def test_an_odd_last_line_is_drawn_over_paper() -> None:
    """Nothing is lost and nothing invented."""
    assert draw(np.ones((3, 2), dtype=np.float32)) == "██\n▀▀"


def test_a_digit_is_fourteen_lines_without_colour() -> None:
    """What goes to a file or a log has no escapes in it."""
    lines = draw(unseen_digits(1).inputs[0]).splitlines()
    assert [len(line) for line in lines] == [28] * 14
    assert set("".join(lines)) <= set(" ▀▄█")


def test_colour_is_grey_tones_that_end_with_the_line() -> None:
    """Paper is the darkest of the 24 greys, ink the brightest; the prompt after it is as before."""
    assert draw(np.array([[1], [0]], dtype=np.float32), colour=True) == "\x1b[38;5;255;48;5;232m▀\x1b[0m"
