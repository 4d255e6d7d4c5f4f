"""Precision and recall of recognisers, by type, over sentences with marked personal data.

A span is correct if its type and both ends are. An address is also correct if it differs a little, because its ends are
open to opinion: what it shares with the marked one is at least 0.8 of what the two cover together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.unit.masking.corpus import Sentence, Span

SHARED = 0.8
"""Smallest part that a correct address shares with the marked one."""


class Score(NamedTuple):
    """Counts of one type."""

    correct: int
    found: int
    marked: int

    @property
    def precision(self) -> float:
        """Return the part of the found spans that is correct."""
        return self.correct / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Return the part of the marked spans that was found."""
        return self.correct / self.marked if self.marked else 1.0


def scores(sentences: Iterable[Sentence], find: Callable[[str], Iterable[Span]]) -> dict[str, Score]:
    """Compare what `find` returns for each text with the marked spans; return a score for each type."""
    correct: Counter[str] = Counter()
    found: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    for sentence in sentences:
        spans = list(find(sentence.text))
        found.update(span.type for span in spans)
        marked.update(span.type for span in sentence.spans)
        correct.update(span.type for span in sentence.spans if any(matches(span, each) for each in spans))
    return {kind: Score(correct[kind], found[kind], marked[kind]) for kind in sorted(found | marked)}


def matches(marked: Span, found: Span) -> bool:
    """Return whether a found span is the marked one."""
    if marked.type != found.type:
        return False
    if marked.type != "ADDRESS":
        return (marked.start, marked.end) == (found.start, found.end)
    shared = min(marked.end, found.end) - max(marked.start, found.start)
    return shared >= SHARED * (max(marked.end, found.end) - min(marked.start, found.start))
