"""Classify short Chinese texts as friendly (我爱你) or unfriendly (我恨你) with an LSTM over characters."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import nn

from training import text_data, text_ensembles, text_inputs
from training.dataset import Dataset
from training.losses import binary_cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, f1
from training.text_data import FEELINGS
from training.text_steps.characters import UNKNOWN, Characters
from triton_operator.triton.model_file.signature import TensorSpec

LENGTH = 10
"""Sequence length in characters; of longer texts, the last characters are used."""

_HIDDEN_SHARE = 0.1


class ChineseTexts(nn.Module):
    """[batch, 10], character ids padded with 0 on the left -> [batch, 1], the probability that it is friendly."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__()
        self.embedding = nn.Embedding(reader().size, 10, padding_idx=0)
        self.lstm = nn.LSTM(10, 100, batch_first=True)
        self.dense = nn.Linear(100, 1)
        self.dropout = nn.Dropout(0.2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the probability; in training its log-odds, which the loss needs."""
        states, _ = self.lstm(self.dropout(self.embedding(ids)))
        logits = self.dense(self.dropout(states[:, -1]))
        return logits if self.training else torch.sigmoid(logits)


@cache
def reader() -> Characters:
    """Return the tokenizer, with the characters of the training set."""
    known = {character for each in text_data.sentences("chinese", "train") for character in each.text}
    return Characters(sorted(known), LENGTH, pad_left=True)


def preprocess() -> Dataset:
    """Read the Chinese sentences."""
    title = "Short Chinese sentences, friendly and unfriendly"
    return text_inputs.dataset(title, ["chinese"], lambda text: [reader().ids(text)], text_inputs.feeling)


RECIPE = Recipe(
    name="chinese_texts_model",
    title="Friendly or unfriendly Chinese texts by an LSTM over their characters",
    architecture="10 characters -> embedding 10 -> LSTM 100 -> dense 1, sigmoid",
    preprocess=preprocess,
    build=ChineseTexts,
    loss=binary_cross_entropy,
    plan=Plan(seed=1, epochs=14, batch_size=32, optimizer="Adam", learning_rate=0.003, schedule="cosine"),
    metrics=(
        Metric("f1", f1, better="higher", required=0.9, tolerance=0.02),
        Metric("accuracy", accuracy, better="higher", required=0.9, tolerance=0.02),
    ),
    inputs=(TensorSpec("INPUT__0", "INT64", (LENGTH,)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (1,)),),
    max_batch_size=64,
    classes=FEELINGS,
    augment=partial(text_inputs.hide_tokens, share=_HIDDEN_SHARE, unknown=UNKNOWN, first=UNKNOWN),
    augmentation=f"{_HIDDEN_SHARE:.0%} of the characters made unknown",
    companions=lambda repository: text_ensembles.write_chinese_texts(repository, reader()),
    slow=True,
)
