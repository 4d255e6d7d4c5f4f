"""Recurrent networks that read handwritten digits line by line: two stacked LSTMs, and the same with GRUs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from training import digits_data
from training.augment import shift
from training.losses import cross_entropy
from training.recipe import Plan, Recipe
from training.scores import Metric, accuracy, macro_f1
from triton_operator.triton.model_file.signature import TensorSpec

_SIDE, _STATE = digits_data.FRAMED_SIDE, 128


class RecurrentDigitsNetwork(nn.Module):
    """[batch, 10, 10], ten lines of ten pixels, 0 paper to 1 ink -> [batch, 10], the probability of each digit."""

    def __init__(self, layer: type[nn.LSTM | nn.GRU]) -> None:
        """Initialize random weights; the second layer of type `layer` reads the whole output sequence of the first."""
        super().__init__()
        self.recurrent = layer(_SIDE, _STATE, num_layers=2, batch_first=True)
        self.classifier = nn.Linear(_STATE, 10)

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        """Return probabilities; in training the logarithms of the odds, which the loss needs."""
        states, _ = self.recurrent(lines)
        logits = self.classifier(states[:, -1])
        if self.training:
            return logits  # type: ignore[no-any-return]
        return torch.softmax(logits, dim=1)


LSTM = Recipe(
    name="digits_lstm",
    title="Handwritten digits read line by line by two LSTMs",
    architecture="sequence 10x10 -> LSTM 128 -> LSTM 128 -> dense 10, softmax",
    preprocess=digits_data.load_sequences,
    build=lambda: RecurrentDigitsNetwork(nn.LSTM),
    loss=cross_entropy,
    plan=Plan(seed=1, epochs=30, batch_size=32, optimizer="Adam", learning_rate=0.003, schedule="cosine"),
    metrics=(
        Metric("accuracy", accuracy, better="higher", required=0.95, tolerance=0.01),
        Metric("f1", macro_f1, better="higher", required=0.95, tolerance=0.01),
    ),
    inputs=(TensorSpec("INPUT__0", "FP32", (_SIDE, _SIDE)),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (10,)),),
    max_batch_size=64,
    classes=digits_data.CLASSES,
    augment=partial(shift, pixels=1),
    augmentation="each picture moved by up to 1 pixel",
    slow=True,
)

GRU = replace(
    LSTM,
    name="digits_gru",
    title="Handwritten digits read line by line by two GRUs",
    architecture="sequence 10x10 -> GRU 128 -> GRU 128 -> dense 10, softmax",
    build=lambda: RecurrentDigitsNetwork(nn.GRU),
)
