"""The Chinese words and names that the recognizers use.

`Lexicon.from_jieba` builds it from the dictionary that the package `jieba` (MIT) ships: its frequencies of words, and
its names as statistics of characters. `dump` and `load` store the result, which has a quarter of the size.
The masking model has it next to its code, so it does not need jieba, which takes one to three seconds to load.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from math import log
from pathlib import Path

from triton_operator.masking.errors import MaskingError
from triton_operator.masking.word_lists import word_list

SINGLE = word_list("chinese_surnames")
COMPOUND = word_list("chinese_compound_surnames")

_RAREST = 20
"""Minimum frequency of a word; rarer words change no result and double the size."""
_SHORT = 2
"""Characters of a name with one given character."""
_FREQUENT = 60
"""Minimum frequency of a word of two characters that is kept although its tag says that it is a name."""
_LONGEST = 4
"""Characters of the longest word."""
_NAME_TAGS = ("nr", "nrfg")
_MODERN = "梓萱涵轩诺宸沐奕琪彤睿豪菲婷妍欣怡佳浩博雨思晨铭泽熙瑶桐妤妮颖璐琳婧媛潇逸航辰昊然"
"""Characters of today's given names, which the names in the dictionary seldom have."""
_MODERN_WEIGHT = -5.0
_SMOOTHING = 0.5
_HAN = 5_000
"""Number of characters in use, for the smoothing."""

Weights = Mapping[str, float]
"""Logarithms of probabilities."""


@dataclass(frozen=True)
class Lexicon:
    """Logarithms of probabilities of words, and of characters at the places of a name."""

    words: Weights
    surnames: Weights
    given: tuple[Weights, Weights, Weights]
    """The only, the first and the last character of a given name; "" is the weight of one that is in no list."""

    @classmethod
    def from_jieba(cls) -> Lexicon:
        """Read the dictionary of the installed jieba; raises MaskingError if it is missing."""
        return _build(_entries(_jieba_folder() / "dict.txt"))

    @classmethod
    def load(cls, data: str) -> Lexicon:
        """Read what `dump` returned."""
        words, surnames, *given = json.loads(data)
        return cls(words, surnames, (given[0], given[1], given[2]))

    def dump(self) -> str:
        """Return the lexicon as JSON."""
        parts = [_rounded(each) for each in (self.words, self.surnames, *self.given)]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


@cache
def chinese() -> Lexicon:
    """Return the lexicon stored next to this module, else that of the installed jieba."""
    stored = files(__package__).joinpath("lexicons", "chinese.json")
    return Lexicon.load(stored.read_text(encoding="utf-8")) if stored.is_file() else Lexicon.from_jieba()


def _jieba_folder() -> Path:
    """Find the package without importing it, which would take a second."""
    found = find_spec("jieba")
    if found is None or not found.submodule_search_locations:
        raise MaskingError("masking needs the package jieba: pip install 'triton-operator[masking]'")
    return Path(found.submodule_search_locations[0])


def _entries(dictionary: Path) -> Iterator[tuple[str, int, str]]:
    for line in dictionary.read_text(encoding="utf-8").splitlines():
        word, frequency, tag = line.split(" ")
        yield word, int(frequency), tag


def _build(entries: Iterator[tuple[str, int, str]]) -> Lexicon:
    """Separate names from words, and count the characters of names."""
    words: dict[str, int] = {}
    surnames: Counter[str] = Counter()
    given: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
    for word, frequency, tag in entries:
        if tag in _NAME_TAGS:
            _count_name(word, surnames, given)
        if frequency >= _RAREST and len(word) <= _LONGEST and not _is_name(word, frequency, tag):
            words[word] = frequency
    total = log(sum(words.values()))
    return Lexicon(
        {word: log(frequency) - total for word, frequency in words.items()},
        {**_weights(surnames, len(SINGLE) + len(COMPOUND)), **dict.fromkeys(COMPOUND, -6.0)},
        (_modern(_weights(given[0], _HAN)), _modern(_weights(given[1], _HAN)), _modern(_weights(given[2], _HAN))),
    )


def _is_name(word: str, frequency: int, tag: str) -> bool:
    """Return whether a word is a name; the tags of frequent words of two characters, such as 谢谢, are often wrong."""
    return tag in _NAME_TAGS and word[0] in SINGLE and (len(word) > _SHORT or frequency < _FREQUENT) and len(word) > 1


def _count_name(word: str, surnames: Counter[str], given: tuple[Counter[str], ...]) -> None:
    size = len(word)
    if size not in {_SHORT, _SHORT + 1} or word[0] not in SINGLE:
        return
    surnames[word[0]] += 1
    for place, character in zip((0,) if size == _SHORT else (1, 2), word[1:], strict=True):
        given[place][character] += 1


def _weights(counts: Counter[str], kinds: int) -> dict[str, float]:
    total = log(sum(counts.values()) + _SMOOTHING * kinds)
    weights = {each: log(count + _SMOOTHING) - total for each, count in counts.items()}
    return {"": log(_SMOOTHING) - total, **weights}


def _modern(weights: dict[str, float]) -> dict[str, float]:
    """Raise the weights of the characters that are common today."""
    return {**weights, **{each: max(weights.get(each, _MODERN_WEIGHT), _MODERN_WEIGHT) for each in _MODERN}}


def _rounded(weights: Weights) -> dict[str, float]:
    return {key: round(value, 2) for key, value in weights.items()}
