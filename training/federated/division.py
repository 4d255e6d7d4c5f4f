"""Unequal parties out of one training part: of different size, with different labels and different measurements.

`run` calls `divide` and writes each party's rows to a folder of its own, which only that party's process knows.
Plain numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.dataset import Part

ROWS = "rows.npz"

PARTIES = ("clinic", "screening", "specialist")
"""Large and mixed; middle-sized with small tumours, nearly all benign; small with large ones, nearly all malignant."""

_SHARES = {"screening": 0.29, "specialist": 0.12}
"""Of the rows; the clinic has the rest."""

_BLUR = 1.0
"""Standard deviations of the feature: the borders between the parties are not sharp."""


def divide(part: Part) -> dict[str, Part]:
    """Give every row to exactly one party, by its first feature (the radius); the same rows in every run."""
    radius = part.inputs[:, 0].astype(np.float64)
    blurred = radius + _BLUR * radius.std() * np.array([_spread(row) for row in range(len(part))])
    ordered = np.argsort(blurred, kind="stable")
    first, last = (round(len(part) * _SHARES[name]) for name in ("screening", "specialist"))
    rows = {"clinic": ordered[first:-last], "screening": ordered[:first], "specialist": ordered[-last:]}
    return {name: Part(part.inputs[rows[name]], part.targets[rows[name]]) for name in PARTIES}


def write(part: Part, folder: Path) -> None:
    """Leave rows in a folder that nobody else may enter."""
    folder.mkdir(mode=0o700, exist_ok=True)
    np.savez(folder / ROWS, inputs=part.inputs, targets=part.targets)


def read(folder: Path) -> Part:
    """Read what `write` left."""
    with np.load(folder / ROWS) as file:
        return Part(file["inputs"], file["targets"])


def describe(parties: Mapping[str, Part]) -> dict[str, dict[str, float]]:
    """Say how unequal they are: rows, share of malignant tumours and mean radius."""
    return {
        name: {
            "rows": len(part),
            "malignant": round(float(np.mean(part.targets)), 3),
            "mean_radius": round(float(np.mean(part.inputs[:, 0])), 2),
        }
        for name, part in parties.items()
    }


def _spread(row: int) -> float:
    """Return a number between -1 and 1 that depends on the row's number alone."""
    return int.from_bytes(hashlib.sha256(f"party {row}".encode()).digest()[:4], "big") / 2**31 - 1
