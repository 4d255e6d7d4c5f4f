"""The model card: what a model is, what it learned from, and how good it was when measured.

It is the README.md of a model's folder (Triton ignores it there): facts as YAML between two lines of `---`, then text
and pictures for people made from the same facts. `workflow` writes it, `check` and the tests read and compare it. Needs
no torch.
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
    """The facts of one model.

    `scores` are per part (validation, test) and metric; `tolerances` per metric how far a retraining may differ.
    `confusion` counts the test part of a classifier: a row per actual class of `classes`, a column per predicted one.
    `served_tolerance` is the largest difference of a served answer from PyTorch's. `files` are the SHA-256 sums of what
    was written, by path from the model's folder: `../` starts paths of neighbouring folders.
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
    """A model card is missing or not what `write` makes; the message names the file."""


class _Dumper(yaml.SafeDumper):
    """Writes a list on one line: a row of a matrix is read so."""


def _represent(dumper: yaml.SafeDumper, each: list[Any]) -> yaml.Node:
    is_flat = not any(isinstance(item, list) for item in each)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", each, flow_style=is_flat)


_Dumper.add_representer(list, _represent)


def write(card: ModelCard, folder: Path) -> None:
    """Write the card into a model's folder."""
    facts = yaml.dump(asdict(card), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)
    (folder / FILE_NAME).write_text(f"{_FENCE}{facts}{_FENCE}{_text(card)}", encoding="utf-8")


def read(folder: Path) -> ModelCard:
    """Read the facts of the card in a model's folder."""
    path = folder / FILE_NAME
    try:
        return ModelCard(**yaml.safe_load(_facts(path.read_text(encoding="utf-8"))))
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        message = f"{path} is not a model card: {problem}. Write it again: python -m training {folder.name}"
        raise ModelCardError(message) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 sum of a file in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differences(
    claimed: ModelCard, measured: Mapping[str, Mapping[str, float]], way: str = "retraining gave"
) -> list[str]:
    """Compare scores with a card's; one sentence for each that differs by more than its tolerance or is missing.

    `measured` are scores by part and metric, `way` says in the sentences where they come from.
    """
    return [
        f"{part} {name}: the model card says {value:.6g}, {way} {reached:.6g} (tolerance {claimed.tolerances[name]:g})"
        for part, scores in claimed.scores.items()
        for name, value in scores.items()
        if not abs((reached := _score(measured, part, name)) - value) <= claimed.tolerances[name]  # NaN never is
    ]


def damaged_files(card: ModelCard, folder: Path) -> list[str]:
    """Compare the files of a model with the sums in its card; one sentence for each that is missing or different."""
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
        message = "it does not begin with facts between two lines of ---"
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
