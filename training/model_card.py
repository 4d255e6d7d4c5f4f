"""Write, read and compare model cards: the description of a model, its training data and its measured scores.

The card is the README.md in the folder of a model, which Triton ignores. It consists of YAML front matter between two
lines of `---`, and of text and images that are generated from the same facts. `workflow` writes it; `check` and the
tests read and compare it. Does not need torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

FILE_NAME = "README.md"

_FENCE = "---\n"


@dataclass(frozen=True)
class ModelCard:
    """The front matter of one card.

    `scores` are by part (validation, test) and metric; `tolerances` is the allowed difference after retraining, by
    metric. `confusion` is the confusion matrix on the test set: a row per actual class, a column per predicted class.
    `served_tolerance` is the largest allowed difference between a served output and PyTorch's. `files` are the SHA-256
    checksums of all written files, by path relative to the model's folder: `../` leads to neighbouring folders.
    """

    model: str
    title: str
    architecture: str
    parameters: int
    dataset: Mapping[str, Any]
    training: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, float]]
    tolerances: Mapping[str, float]
    classes: Sequence[str]
    confusion: Sequence[Sequence[int]]
    served_tolerance: float
    libraries: Mapping[str, str]
    files: Mapping[str, str]


class ModelCardError(ValueError):
    """A model card is missing or invalid; the message names the file."""


class _Dumper(yaml.SafeDumper):
    """Writes each list on one line, so that a matrix has one line per row."""


def _represent(dumper: yaml.SafeDumper, each: list[Any]) -> yaml.Node:
    is_flat = not any(isinstance(item, list) for item in each)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", each, flow_style=is_flat)


_Dumper.add_representer(list, _represent)


def write(card: ModelCard, folder: Path) -> None:
    """Write the card into the folder of a model."""
    facts = yaml.dump(asdict(card), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)
    (folder / FILE_NAME).write_text(f"{_FENCE}{facts}{_FENCE}{_text(card)}", encoding="utf-8")


def read(folder: Path) -> ModelCard:
    """Read the card in the folder of a model. Raises ModelCardError."""
    path = folder / FILE_NAME
    try:
        return ModelCard(**yaml.safe_load(_facts(path.read_text(encoding="utf-8"))))
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        message = f"{path} is not a model card: {problem}. Write it again: python -m training {folder.name}"
        raise ModelCardError(message) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(
    claimed: ModelCard, measured: Mapping[str, Mapping[str, float]], origin: str = "retraining gave"
) -> list[str]:
    """Return one sentence for each score that is missing or differs from the card's by more than the tolerance.

    `measured` has scores by part and metric; `origin` states in the sentences how they were measured.
    """
    return [
        f"{part} {name}: the model card states {value:.6g}, {origin} {reached:.6g} "
        f"(tolerance {claimed.tolerances[name]:g})"
        for part, scores in claimed.scores.items()
        for name, value in scores.items()
        if not abs((reached := _score(measured, part, name)) - value) <= claimed.tolerances[name]  # True for NaN
    ]


def damaged_files(card: ModelCard, folder: Path) -> list[str]:
    """Return one sentence for each file of a model that is missing or differs from the checksum in its card."""
    return [
        f"{folder / name}: not the file that the model card describes (SHA-256 {expected[:12]}…)"
        for name, expected in card.files.items()
        if not (folder / name).is_file() or sha256(folder / name) != expected
    ]


def _score(scores: Mapping[str, Mapping[str, float]], part: str, name: str) -> float:
    return scores.get(part, {}).get(name, float("nan"))


def _facts(text: str) -> str:
    before, *rest = text.split(_FENCE, maxsplit=2)
    if before or len(rest) != len(("facts", "text")):
        message = "it does not begin with YAML between two lines of ---"
        raise ValueError(message)
    return rest[0]


def _text(card: ModelCard) -> str:
    rows = [
        f"| {part} | {card.dataset['rows'][part]} | {' | '.join(f'{value:.4g}' for value in scores.values())} |"
        for part, scores in card.scores.items()
    ]
    metrics = list(next(iter(card.scores.values())))
    pictures = [name for name in card.files if name.endswith(".png")]
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
        *(line for name in pictures for line in ("", f"![{Path(name).stem.replace('_', ' ').capitalize()}]({name})")),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"
