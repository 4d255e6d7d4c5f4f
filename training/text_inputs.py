"""From sentences to numbers: the `preprocess` step of the text models. Plain numpy.

Input: sets of `text_data` and the way a model reads a text. Output: a `Dataset`. `hide_tokens` is their augmentation
and needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from training import text_data
from training.dataset import Dataset, Part
from training.text_data import FEELINGS, PARTS
from training.text_patterns import Sentence

if TYPE_CHECKING:
    import torch

Read = Callable[[str], Sequence[Sequence[int]]]
"""A text as the rows of numbers that are the arguments of forward()."""

Judge = Callable[[Sentence], int | Sequence[int]]
"""What a model should answer to a sentence: a class number, or one for each token."""


def dataset(title: str, sets: Sequence[str], read: Read, judge: Judge) -> Dataset:
    """Read all sentences of some sets."""
    train, validation, test = (
        _part([each for name in sets for each in text_data.sentences(name, part)], read, judge) for part in PARTS
    )
    return Dataset(title, text_data.SOURCE, text_data.LICENCE, train, validation, test, text_data.REMARKS)


def feeling(sentence: Sentence) -> int:
    """Give the class number of a sentence of `chinese` or `english`."""
    return FEELINGS.index(sentence.pattern.label)


def hide_tokens(
    ids: torch.Tensor, generator: torch.Generator, *, share: float, unknown: int, first: int
) -> torch.Tensor:
    """Put the unknown token in the place of a share of all tokens from the number `first` on.

    So a model learns what to make of words that it does not know, and not to trust in one word.
    """
    import torch

    hidden = (torch.rand(ids.shape, generator=generator) < share) & (ids >= first)
    return torch.where(hidden, unknown, ids)


def _part(sentences: Sequence[Sentence], read: Read, judge: Judge) -> Part:
    inputs, *others = (
        np.array(rows, dtype=np.int64) for rows in zip(*(read(each.text) for each in sentences), strict=True)
    )
    return Part(inputs, np.array([judge(each) for each in sentences], dtype=np.int64), tuple(others))
