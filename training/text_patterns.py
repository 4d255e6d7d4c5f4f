"""Generate sentences from handwritten patterns such as `我{love}{you}`, which has two slots.

Input: a TOML file of `training/texts/`, with `[slots]` (the words of each slot), `[tagged.NAME]` and so on (slots whose
words the tagger has to find) and one table for each label, whose texts contain one pattern per line. Output:
`Sentence`s. The choice of words depends only on hashes, so that every version of every library generates the same
sentences. Needs neither torch nor numpy; `text_data` calls it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PLACE = re.compile(r"\{(\w+)\}")
_ATTEMPTS = 5
"""Attempts per requested sentence, because duplicates are dropped."""


class PatternError(ValueError):
    """A file of patterns is invalid; the message names the file and the line."""


@dataclass(frozen=True)
class Slot:
    """The words that can fill a slot, and their tag ("" for none)."""

    words: tuple[str, ...]
    tag: str = ""


@dataclass(frozen=True)
class Pattern:
    """A sentence with slots: `text` is the source, `label` the table that contains it, and `domain` its key there."""

    text: str
    label: str
    domain: str


@dataclass(frozen=True)
class Sentence:
    """A pattern whose slots are filled: `pieces` are the parts of the text, each with its tag ("" for none)."""

    pattern: Pattern
    pieces: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The plain text."""
        return "".join(piece for piece, _ in self.pieces)

    @property
    def marked(self) -> str:
        """The text with its tags, for example `[NAME 小明]去[PLACE 上海]`, which `read_marked` parses."""
        return "".join(f"[{tag} {piece}]" if tag else piece for piece, tag in self.pieces)


@dataclass(frozen=True)
class Patterns:
    """The content of one file: all patterns and their slots."""

    slots: Mapping[str, Slot]
    patterns: tuple[Pattern, ...]

    def sentences(self, most: int) -> list[Sentence]:
        """Generate up to `most` sentences from each pattern, in the order of the file, without duplicates."""
        seen: set[str] = set()
        return [sentence for pattern in self.patterns for sentence in self._fill(pattern, most, seen)]

    def _fill(self, pattern: Pattern, most: int, seen: set[str]) -> Iterator[Sentence]:
        made = 0
        for attempt in range(most * _ATTEMPTS):
            sentence = Sentence(pattern, tuple(self._pieces(pattern.text, attempt)))
            if sentence.text in seen:
                continue
            seen.add(sentence.text)
            made += 1
            yield sentence
            if made == most:
                return

    def _pieces(self, text: str, attempt: int) -> Iterator[tuple[str, str]]:
        used: set[str] = set()
        for index, part in enumerate(_PLACE.split(text)):
            if index % 2:
                slot = self.slots[part]
                words = [word for word in slot.words if word not in used] or list(slot.words)
                word = words[_number(f"{text} {attempt} {index}") % len(words)]
                used.add(word)
                yield word, slot.tag
            elif part:
                yield part, ""


def read(path: Path) -> Patterns:
    """Read a file of patterns; raises PatternError."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    slots = {name: Slot(tuple(words.split("|"))) for name, words in tables.pop("slots", {}).items()}
    for tag, named in tables.pop("tagged", {}).items():
        slots |= {name: Slot(tuple(words.split("|")), tag) for name, words in named.items()}
    patterns = tuple(
        Pattern(line, label, domain)
        for label, table in tables.items()
        for domain, lines in table.items()
        for line in lines.split("\n")
        if line
    )
    for pattern in patterns:
        if missing := set(_PLACE.findall(pattern.text)) - slots.keys():
            raise PatternError(f"{path}: {pattern.text}: undefined slots: {', '.join(sorted(missing))}")
    return Patterns(slots, patterns)


def read_marked(text: str) -> tuple[tuple[str, str], ...]:
    """Parse the output of `Sentence.marked` into the parts of the text with their tags."""
    parts = re.split(r"\[(\w+) ([^\]]*)\]", text)
    tagged: list[tuple[str, str]] = []
    for plain, tag, words in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        tagged += [(plain, "")] if plain else []
        tagged += [(words, tag)] if tag else []
    return tuple(tagged)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
