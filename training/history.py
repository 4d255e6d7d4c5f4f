"""What a training loop records: losses by epoch, and what else the model card reports."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """How training went: the mean loss of each epoch on both parts, and the epoch whose weights were kept (from 1).

    The losses on the training part are missing where nobody may know them; `facts` are what else the card should say.
    """

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int = 0
    facts: dict[str, object] = field(default_factory=dict)
