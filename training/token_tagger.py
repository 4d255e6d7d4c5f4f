"""Tag names, places, times and amounts of money in Chinese sentences, with one label per character."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training import scores, text_data, text_ensembles, text_inputs
from training.dataset import Dataset
from training.losses import IGNORED, cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric
from training.text_data import TAGS
from training.text_patterns import Sentence
from training.text_steps.characters import UNKNOWN, Characters
from triton_operator.triton.model_file.signature import TensorSpec

LENGTH = 24
"""Sequence length in characters; of longer texts, the first characters are used."""

LABELS = ("O", *(f"{begins}-{tag}" for tag in TAGS for begins in "BI"))
"""Labels by class number: outside, or the beginning or the inside of an entity."""

_HIDDEN_SHARE = 0.1


class TokenTagger(nn.Module):
    """[batch, 24], numbers of characters -> [batch, 24, 9], the probability of each label for each character."""

    def __init__(self) -> None:
        """Initialize random weights."""
        super().__init__()
        self.embedding = nn.Embedding(reader().size, 32, padding_idx=0)
        self.lstm = nn.LSTM(32, 64, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(128, len(LABELS))
        self.dropout = nn.Dropout(0.3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return probabilities; in training the logarithms of the odds, which the loss needs."""
        states, _ = self.lstm(self.dropout(self.embedding(ids)))
        logits = self.linear(self.dropout(states))
        return logits if self.training else torch.softmax(logits, dim=-1)


@cache
def reader() -> Characters:
    """Return the tokenizer, with the characters of the training set."""
    known = {character for each in text_data.sentences("entities", "train") for character in each.text}
    return Characters(sorted(known), LENGTH, pad_left=False)


def preprocess() -> Dataset:
    """Read the sentences with their tags."""
    title = "Chinese sentences with names, places, times and amounts of money"
    return text_inputs.dataset(title, ["entities"], lambda text: [reader().ids(text)], tags)


def tags(sentence: Sentence) -> list[int]:
    """Return the class number of each character, and the ignored label for padding."""
    labels: list[int] = []
    for piece, tag in sentence.pieces:
        if tag:
            labels += [LABELS.index(f"B-{tag}")] + [LABELS.index(f"I-{tag}")] * (len(piece) - 1)
        else:
            labels += [LABELS.index("O")] * len(piece)
    return labels + [IGNORED] * (LENGTH - len(labels))


def f1_of(tag: str) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """Return F1 of the characters with one tag, whether they are at its beginning or inside."""
    classes = [LABELS.index(f"{begins}-{tag}") for begins in "BI"]

    def measure(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
        predicted = np.isin(probabilities.argmax(axis=-1), classes)[..., None].astype(np.float32)
        return scores.f1(predicted, np.where(labels >= 0, np.isin(labels, classes), IGNORED))

    return measure


RECIPE = Recipe(
    name="token_tagger_model",
    title="Names, places, times and amounts in Chinese sentences by an LSTM in both directions",
    architecture="24 characters -> embedding 32 -> LSTM 64 in both directions -> linear 9, softmax, for each character",
    preprocess=preprocess,
    build=TokenTagger,
    loss=cross_entropy,
    plan=Plan(seed=1, epochs=15, batch_size=16, optimizer="Adam", learning_rate=0.001),
    metrics=(
        Metric("accuracy", scores.accuracy, better="higher", required=0.95, tolerance=0.01),
        Metric("macro_f1", scores.macro_f1, better="higher", required=0.9, tolerance=0.02),
        *(Metric(f"f1_{tag.lower()}", f1_of(tag), better="higher", required=0.85, tolerance=0.03) for tag in TAGS),
    ),
    inputs=(TensorSpec("INPUT__0", "INT64", (LENGTH,)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (LENGTH, len(LABELS))),),
    max_batch_size=64,
    classes=LABELS,
    augment=partial(text_inputs.hide_tokens, share=_HIDDEN_SHARE, unknown=UNKNOWN, first=UNKNOWN),
    augmentation=f"{_HIDDEN_SHARE:.0%} of the characters made unknown",
    companions=lambda repository: text_ensembles.write_token_tagger(repository, reader(), LABELS),
    slow=True,
)
