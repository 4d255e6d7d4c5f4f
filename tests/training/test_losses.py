"""Losses judge the same answers the same way, whether they come as logits in training or as probabilities after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from training.losses import IGNORED, binary_cross_entropy, cross_entropy
from training.recipe import Loss

pytestmark = pytest.mark.training


class _Answers(nn.Module):
    """Gives the logits that it gets while training, else what `finish` makes of them."""

    def __init__(self, finish: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.finish = finish

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self.training else self.finish(logits)


def _both(
    loss: Loss, finish: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor, labels: torch.Tensor
) -> list[float]:
    model = _Answers(finish)
    return [loss(model.train(is_training), (logits,), labels).item() for is_training in (True, False)]


def _softmax(logits: torch.Tensor) -> torch.Tensor:
    return torch.softmax(logits, dim=-1)


def test_cross_entropy_is_the_same_in_training_and_after_it() -> None:
    """Three classes; the logarithm of the sum of three equal odds is that of 3."""
    in_training, afterwards = _both(cross_entropy, _softmax, torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    assert in_training == pytest.approx(torch.log(torch.tensor(3.0)).item())
    assert afterwards == pytest.approx(in_training)


def test_a_hopeless_answer_has_a_finite_loss() -> None:
    """A probability that rounds to zero would have an infinite logarithm, and no epoch would ever be the best."""
    _, afterwards = _both(cross_entropy, _softmax, torch.tensor([[200.0, 0.0]]), torch.tensor([1]))
    assert 80 < afterwards < 100


def test_padding_costs_nothing() -> None:
    """One token of two counts, and its answer is as good as certain; the other's is certainly wrong."""
    logits = torch.tensor([[[30.0, 0.0], [30.0, 0.0]]])
    for value in _both(cross_entropy, _softmax, logits, torch.tensor([[0, IGNORED]])):
        assert value == pytest.approx(0, abs=1e-6)
    for value in _both(cross_entropy, _softmax, logits, torch.tensor([[0, 1]])):
        assert value == pytest.approx(15)


def test_binary_cross_entropy_is_the_same_in_training_and_after_it() -> None:
    """Class numbers without a second dimension are those of the rows."""
    logits = torch.tensor([[0.0], [2.0], [-1.0]])
    in_training, afterwards = _both(binary_cross_entropy, torch.sigmoid, logits, torch.tensor([1, 1, 0]))
    assert in_training == pytest.approx((0.693147 + 0.126928 + 0.313262) / 3, abs=1e-5)
    assert afterwards == pytest.approx(in_training)
