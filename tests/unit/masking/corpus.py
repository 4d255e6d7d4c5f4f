"""The test set of `triton_operator.masking`: sentences with the places and types of personal data.

`frames/` has sentence frames with slots, and names and addresses of invented people, all written by hand. Values with a
fixed form are drawn with a fixed seed. If values are reserved for documentation or fiction (example domains,
192.0.2.0/24, telephone numbers for drama), those are used. `python -m tests.unit.masking.corpus` wrote `sentences/`
once, before any recogniser existed, and does not overwrite it.

A span is a name without its title, an address from its largest to its smallest part, or the digits and letters of a
number as they are written, with their separators. Recognisers must not read this folder.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.unit.masking.values import SLOTS, Value

FOLDER = Path(__file__).resolve().parent
LANGUAGES = ("chinese", "english")
FILLS = 3
"""Sentences that are made from a frame with slots."""


class Span(NamedTuple):
    """Personal data in a text: offsets in characters, and the type."""

    start: int
    end: int
    type: str


class Sentence(NamedTuple):
    """A text and its personal data in the order of the text."""

    text: str
    spans: tuple[Span, ...]


def frozen_file(language: str) -> Path:
    """Return the path of the frozen sentences."""
    return FOLDER / "sentences" / f"{language}.jsonl"


def sentences(language: str) -> list[Sentence]:
    """Read the frozen sentences."""
    lines = frozen_file(language).read_text(encoding="utf-8").splitlines()
    return [Sentence(row["text"], tuple(Span(*each) for each in row["spans"])) for row in map(json.loads, lines)]


def frames(language: str) -> list[str]:
    """Read the frames of a language."""
    lines = (FOLDER / "frames" / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n") for line in lines if not line.startswith("#")]


def make(language: str) -> Iterator[Sentence]:
    """Fill the frames with values."""
    draw = Random(f"masking {language}")
    for frame in frames(language):
        parts = re.split(r"\{([a-z]\w*)\}", frame)
        for _ in range(FILLS if len(parts) > 1 else 1):
            yield _fill(parts, draw, language)


def frozen_text(language: str) -> str:
    """Format the sentences as JSON Lines."""
    rows = ({"text": each.text, "spans": each.spans} for each in make(language))
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)


def _fill(parts: list[str], draw: Random, language: str) -> Sentence:
    """Join literal parts (even places) and values of slots (odd places)."""
    text, spans = "", []
    for index, part in enumerate(parts):
        value = _value(part, draw, language) if index % 2 else Value(part)
        if value.type:
            spans.append(Span(len(text), len(text) + len(value.text), value.type))
        text += value.text
    return Sentence(text, tuple(spans))


def _value(slot: str, draw: Random, language: str) -> Value:
    if match := re.fullmatch(r"d(\d+)", slot):
        return Value(_digits(draw, int(match[1])))
    return SLOTS[slot](draw, language)


def _digits(draw: Random, count: int) -> str:
    return str(draw.randrange(10 ** (count - 1), 10**count))


def main() -> int:
    """Write the sentences if they do not exist."""
    for language in LANGUAGES:
        path = frozen_file(language)
        if path.exists():
            print(f"{path.name} is frozen", file=sys.stderr)
            return 1
        path.write_text(frozen_text(language), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
