"""The record of a training run: losses by epoch, and further facts for the model card."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """The mean training and validation loss of each epoch, and the epoch whose weights were kept (counted from 1).

    Training losses are empty if they are private to the parties. `facts` are added to the model card.
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int = 0
    facts: dict[str, object] = field(default_factory=dict)
