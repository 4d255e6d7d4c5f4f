"""Loss functions give equal values for logits in training mode and for probabilities in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from training.losses import IGNORED, binary_cross_entropy, cross_entropy
from training.recipe import Loss

pytestmark = pytest.mark.training


class _Answers(nn.Module):
    """Returns its input, the logits, in training mode, and `finish(logits)` in evaluation mode."""

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


def test_cross_entropy_is_equal_in_training_and_evaluation_mode() -> None:
    """With three equal logits, it is the logarithm of 3."""
    in_training, afterwards = _both(cross_entropy, _softmax, torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    assert in_training == pytest.approx(torch.log(torch.tensor(3.0)).item())
    assert afterwards == pytest.approx(in_training)


def test_the_loss_of_a_zero_probability_is_finite() -> None:
    """If it were infinite, no epoch would have the lowest loss."""
    _, afterwards = _both(cross_entropy, _softmax, torch.tensor([[200.0, 0.0]]), torch.tensor([1]))
    assert 80 < afterwards < 100


def test_padding_does_not_contribute_to_the_loss() -> None:
    """One of two tokens is padding and its output is wrong; the output of the other token is right."""
    logits = torch.tensor([[[30.0, 0.0], [30.0, 0.0]]])
    for value in _both(cross_entropy, _softmax, logits, torch.tensor([[0, IGNORED]])):
        assert value == pytest.approx(0, abs=1e-6)
    for value in _both(cross_entropy, _softmax, logits, torch.tensor([[0, 1]])):
        assert value == pytest.approx(15)


def test_binary_cross_entropy_is_equal_in_training_and_evaluation_mode() -> None:
    """Labels may have one dimension."""
    logits = torch.tensor([[0.0], [2.0], [-1.0]])
    in_training, afterwards = _both(binary_cross_entropy, torch.sigmoid, logits, torch.tensor([1, 1, 0]))
    assert in_training == pytest.approx((0.693147 + 0.126928 + 0.313262) / 3, abs=1e-5)
    assert afterwards == pytest.approx(in_training)
