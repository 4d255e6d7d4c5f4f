"""The test set of masking is frozen, large, varied and correctly marked."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from tests.unit.masking import corpus
from tests.unit.masking.corpus import LANGUAGES
from tests.unit.masking.values import id_check, luhn_check

FROZEN = {
    "chinese": "d5829a1e5b8a513bd0081f3f2ffda74c1946b587f79631e44a43376915cf30da",
    "english": "a0d85db7477d52b22cfb8aa98ee84deb1be3900fc7d7822da16ad68ccf03f450",
}
"""SHA-256 of the sentences. They are older than the recognisers; changed sentences are a new test set."""

TYPES = {"ADDRESS", "BANK_CARD", "EMAIL", "ID_CARD", "IP", "LICENSE_PLATE", "NAME", "PASSPORT", "PHONE"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentences_are_frozen(language: str) -> None:
    assert hashlib.sha256(corpus.frozen_file(language).read_bytes()).hexdigest() == FROZEN[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_frozen_sentences_are_generated_from_the_frames(language: str) -> None:
    assert corpus.frozen_file(language).read_text(encoding="utf-8") == corpus.frozen_text(language)


def test_frozen_sentences_are_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert corpus.main() == 1
    assert "is frozen" in capsys.readouterr().err


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_600_different_sentences_from_hundreds_of_frames(language: str) -> None:
    assert len({each.text for each in corpus.sentences(language)}) >= 600
    assert len(set(corpus.frames(language))) >= 300


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_type_is_marked_and_a_third_of_the_sentences_has_no_personal_data(language: str) -> None:
    sentences = corpus.sentences(language)
    marked = Counter(span.type for each in sentences for span in each.spans)
    assert set(marked) == TYPES
    assert min(marked.values()) >= 20
    assert sum(not each.spans for each in sentences) >= len(sentences) / 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_spans_are_in_order_and_do_not_overlap(language: str) -> None:
    for sentence in corpus.sentences(language):
        ends = [0, *(span.end for span in sentence.spans)]
        for span, end in zip(sentence.spans, ends, strict=False):
            assert end <= span.start < span.end <= len(sentence.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_marked_numbers_have_correct_checksums(language: str) -> None:
    values = [
        (span.type, each.text[span.start : span.end]) for each in corpus.sentences(language) for span in each.spans
    ]
    cards = ["".join(filter(str.isdigit, value)) for kind, value in values if kind == "BANK_CARD"]
    identities = [value for kind, value in values if kind == "ID_CARD" and len(value) == 18]
    assert cards
    assert identities
    assert all(luhn_check(card[:-1]) == card[-1] for card in cards)
    assert all(id_check(number[:17]) == number[17] for number in identities)


def test_the_checksums_agree_with_published_examples() -> None:
    """The examples of GB 11643 and of the documentation of card networks."""
    assert id_check("11010519491231002") == "X"
    assert id_check("44052418800101001") == "4"
    assert luhn_check("411111111111111") == "1"
    assert luhn_check("37828224631000") == "5"
