"""Encode sentences as token ids: the `preprocess` step of the text models. Needs only numpy.

Input: sets of `text_data` and a tokenizer. Output: a `Dataset`. `hide_tokens` is the augmentation of the text models,
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
"""Encodes a text as one row of each argument of forward()."""

TargetOf = Callable[[Sentence], int | Sequence[int]]
"""Returns the target of a sentence: a class number, or one per token."""


def dataset(title: str, sets: Sequence[str], read: Read, target_of: TargetOf) -> Dataset:
    """Return a data set with all sentences of the given sets."""
    train, validation, test = (
        _part([each for name in sets for each in text_data.sentences(name, part)], read, target_of) for part in PARTS
    )
    return Dataset(title, text_data.SOURCE, text_data.LICENCE, train, validation, test, text_data.REMARKS)


def feeling(sentence: Sentence) -> int:
    """Return the class number of a sentence of `chinese` or `english`."""
    return FEELINGS.index(sentence.pattern.label)


def hide_tokens(
    ids: torch.Tensor, generator: torch.Generator, *, share: float, unknown: int, first: int
) -> torch.Tensor:
    """Replace a random share of the tokens whose id is at least `first` with the unknown token.

    The model then learns to handle unknown words, and not to rely on a single word.
    """
    import torch

    hidden = (torch.rand(ids.shape, generator=generator) < share) & (ids >= first)
    return torch.where(hidden, unknown, ids)


def _part(sentences: Sequence[Sentence], read: Read, target_of: TargetOf) -> Part:
    inputs, *others = (
        np.array(rows, dtype=np.int64) for rows in zip(*(read(each.text) for each in sentences), strict=True)
    )
    return Part(inputs, np.array([target_of(each) for each in sentences], dtype=np.int64), tuple(others))
