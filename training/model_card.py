"""The model card: what a model is, what it learned from, and how good it was when measured.

It is the README.md of a model's folder (Triton ignores it there): facts as YAML between two lines of `---`, then text
for people made from the same facts. `workflow` writes it, `check` and the tests read and compare it. Needs no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

FILE_NAME = "README.md"

_FENCE = "---\n"


@dataclass(frozen=True)
class ModelCard:
    """The facts of one model.

    `scores` are per part (validation, test) and metric; `tolerances` per metric how far a retraining may differ.
    `files` are the SHA-256 sums of the exported files, by path inside the model's folder.
    """

    model: str
    title: str
    architecture: str
    parameters: int
    dataset: Mapping[str, Any]
    training: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, float]]
    tolerances: Mapping[str, float]
    libraries: Mapping[str, str]
    files: Mapping[str, str]


class ModelCardError(ValueError):
    """A model card is missing or not what `write` makes; the message names the file."""


def write(card: ModelCard, folder: Path) -> None:
    """Write the card into a model's folder."""
    facts = yaml.safe_dump(asdict(card), sort_keys=False, allow_unicode=True, width=118)
    (folder / FILE_NAME).write_text(f"{_FENCE}{facts}{_FENCE}{_text(card)}", encoding="utf-8")


def read(folder: Path) -> ModelCard:
    """Read the facts of the card in a model's folder."""
    path = folder / FILE_NAME
    try:
        return ModelCard(**yaml.safe_load(_facts(path.read_text(encoding="utf-8"))))
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        message = f"{path} is not a model card: {problem}. Write it anew by training: python -m training {folder.name}"
        raise ModelCardError(message) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 sum of a file in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(claimed: ModelCard, measured: ModelCard) -> list[str]:
    """Compare the scores of two cards; one sentence for each that differs by more than its tolerance."""
    return [
        f"{part} {name}: the model card says {value:.6g}, retraining gave {reached:.6g} "
        f"(tolerance {claimed.tolerances[name]:g})"
        for part, scores in claimed.scores.items()
        for name, value in scores.items()
        if not abs((reached := measured.scores[part][name]) - value) <= claimed.tolerances[name]  # NaN never is
    ]


def damaged_files(card: ModelCard, folder: Path) -> list[str]:
    """Compare the files of a model with the sums in its card; one sentence for each that is missing or different."""
    return [
        f"{folder / name}: not the file that the model card describes (SHA-256 {expected[:12]}…)"
        for name, expected in card.files.items()
        if not (folder / name).is_file() or sha256(folder / name) != expected
    ]


def _facts(text: str) -> str:
    before, *rest = text.split(_FENCE, maxsplit=2)
    if before or len(rest) != len(("facts", "text")):
        message = "it does not begin with facts between two lines of ---"
        raise ValueError(message)
    return rest[0]


def _text(card: ModelCard) -> str:
    rows = [
        f"| {part} | {card.dataset['rows'][part]} | {' | '.join(f'{value:.4g}' for value in scores.values())} |"
        for part, scores in card.scores.items()
    ]
    metrics = list(next(iter(card.scores.values())))
    lines = [
        f"# {card.title}",
        "",
        f"Written by `python -m training {card.model}`; do not edit. `--check` retrains and compares the scores.",
        "",
        f"{card.architecture}: {card.parameters:,} parameters.",
        "",
        f"Data: {card.dataset['name']}; {card.dataset['source']}; {card.dataset['licence']}. {card.dataset['remarks']}",
        "",
        f"| part | rows | {' | '.join(metrics)} |",
        f"|---|---|{'---|' * len(metrics)}",
        *rows,
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"
