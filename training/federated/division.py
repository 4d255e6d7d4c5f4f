"""Split one training set among parties with different sizes, label distributions and feature distributions.

`run` calls `divide` and writes the rows of each party to a separate folder, which only the party's process reads.
Needs only numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.dataset import Part

ROWS = "rows.npz"

PARTIES = ("clinic", "screening", "specialist")
"""Large and mixed; medium with small tumours, mostly benign; small with large tumours, mostly malignant."""

_SHARES = {"screening": 0.29, "specialist": 0.12}
"""Shares of the rows; the clinic has the rest."""

_BLUR = 1.0
"""Noise in standard deviations of the feature, so that the distributions of the parties overlap."""


def divide(part: Part) -> dict[str, Part]:
    """Assign each row to exactly one party by its first feature (the radius), reproducibly."""
    radius = part.inputs[:, 0].astype(np.float64)
    blurred = radius + _BLUR * radius.std() * np.array([_spread(row) for row in range(len(part))])
    ordered = np.argsort(blurred, kind="stable")
    first, last = (round(len(part) * _SHARES[name]) for name in ("screening", "specialist"))
    rows = {"clinic": ordered[first:-last], "screening": ordered[:first], "specialist": ordered[-last:]}
    return {name: Part(part.inputs[rows[name]], part.targets[rows[name]]) for name in PARTIES}


def write(part: Part, folder: Path) -> None:
    """Write rows to a folder that other users cannot read."""
    folder.mkdir(mode=0o700, exist_ok=True)
    np.savez(folder / ROWS, inputs=part.inputs, targets=part.targets)


def read(folder: Path) -> Part:
    """Read the rows that `write` wrote."""
    with np.load(folder / ROWS) as file:
        return Part(file["inputs"], file["targets"])


def describe(parties: Mapping[str, Part]) -> dict[str, dict[str, float]]:
    """Return the number of rows, the share of malignant tumours and the mean radius of each party."""
    return {
        name: {
            "rows": len(part),
            "malignant": round(float(np.mean(part.targets)), 3),
            "mean_radius": round(float(np.mean(part.inputs[:, 0])), 2),
        }
        for name, part in parties.items()
    }


def _spread(row: int) -> float:
    """Return a number between -1 and 1 that depends only on the row's number."""
    return int.from_bytes(hashlib.sha256(f"party {row}".encode()).digest()[:4], "big") / 2**31 - 1
