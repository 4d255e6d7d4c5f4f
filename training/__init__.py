"""The code that makes `model_repository/`: one file per model, one workflow for all of them.

Run it from the root of the repository: `python -m training digits` trains, evaluates and exports one model; with
`--check` it retrains into a temporary folder and compares the scores with the committed model card.
The package needs the `[training]` extra; `digits_data` and `picture` need neither torch nor a running server.
"""

from __future__ import annotations

from pathlib import Path

MODELS = ("digits", "linear_regression")
"""Modules of this package, each with a RECIPE of the same name."""

REPOSITORY = Path(__file__).resolve().parent.parent / "model_repository"
"""Where the models of this project live."""
