"""The sentences of the text models are generated from patterns, and the test set has patterns of its own."""

from __future__ import annotations

import hashlib
import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import text_data
from training.text_data import FEELINGS, PARTS, SETS, TAGS, Part
from training.text_patterns import Pattern, PatternError, Patterns, Sentence, read, read_marked

FROZEN = {
    "chinese": "bd3972427fd27b7e995845188345b386fb41ebde0f3857f034276408ae552414",
    "english": "bc7464b70edce9cbed89bfab43f5f50521bbe653c36acf783d651e0361d402f8",
    "entities": "8bb8e0ccad050e7e2813a49ef5e905ef22ea52abdecd615e7af4b447a0150649",
}
"""SHA-256 of each test set. They are older than the models; a changed test set is a new data set."""

LONGEST = {"chinese": 10, "entities": 24}
"""Sequence lengths of the models."""

PIECES = st.lists(
    st.tuples(st.text("小明去上海ab {}", min_size=1, max_size=4), st.sampled_from(["", *TAGS])), max_size=6
)


@pytest.mark.parametrize("name", SETS)
def test_the_test_part_is_frozen(name: str) -> None:
    assert hashlib.sha256(text_data.frozen_file(name).read_bytes()).hexdigest() == FROZEN[name]


@pytest.mark.parametrize("name", SETS)
def test_the_frozen_sentences_are_generated_from_the_test_patterns(name: str) -> None:
    made = text_data.make(name, "test")
    assert text_data.frozen_file(name).read_text(encoding="utf-8") == text_data.frozen_text(made)
    assert text_data.sentences(name, "test") == [Sentence(each.pattern, _joined(each.pieces)) for each in made]


def test_a_frozen_part_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    before = text_data.frozen_file("chinese").read_bytes()
    assert text_data.main(["chinese"]) == 1
    assert "is frozen" in capsys.readouterr().err
    assert text_data.frozen_file("chinese").read_bytes() == before


@pytest.mark.parametrize("name", SETS)
def test_no_two_parts_share_a_pattern(name: str) -> None:
    """Even if slots and punctuation are ignored."""
    kernels = {part: {_kernel(each) for each in text_data.patterns(name, part).patterns} for part in PARTS}
    for one, other in combinations(PARTS, 2):
        assert not kernels[one] & kernels[other]


def matcher(known: Patterns, pattern: Pattern) -> re.Pattern[str]:
    """Return an expression that matches exactly the texts that a pattern can generate."""
    parts = re.split(r"\{(\w+)\}", pattern.text)
    parts[1::2] = [f"(?:{'|'.join(map(re.escape, known.slots[name].words))})" for name in parts[1::2]]
    parts[::2] = [re.escape(part) for part in parts[::2]]
    return re.compile("".join(parts))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("part", ["train", "validation"])
def test_no_pattern_of_another_part_generates_a_sentence_of_the_test_set(name: str, part: Part) -> None:
    known = text_data.patterns(name, part)
    matchers = [matcher(known, pattern) for pattern in known.patterns]
    assert any(each.fullmatch(text_data.make(name, part)[0].text) for each in matchers)
    for sentence in text_data.sentences(name, "test"):
        assert not [each.pattern for each in matchers if each.fullmatch(sentence.text)], sentence.text


def test_there_are_thousands_of_sentences_and_none_is_too_long() -> None:
    counts = {(name, part): len(text_data.sentences(name, part)) for name in SETS for part in PARTS}
    assert sum(counts.values()) >= 5000
    assert min(count for (_, part), count in counts.items() if part == "test") >= 300
    for name, longest in LONGEST.items():
        assert max(len(each.text) for part in PARTS for each in text_data.sentences(name, part)) <= longest


@pytest.mark.parametrize("name", ["chinese", "english"])
@pytest.mark.parametrize("part", PARTS)
def test_both_feelings_are_about_equally_frequent(name: str, part: Part) -> None:
    labels = [each.pattern.label for each in text_data.sentences(name, part)]
    assert set(labels) == set(FEELINGS)
    assert 0.4 <= labels.count("friendly") / len(labels) <= 0.6


@pytest.mark.parametrize("part", PARTS)
def test_entities_have_every_tag_and_plain_sentences_too(part: Part) -> None:
    sentences = text_data.sentences("entities", part)
    assert {tag for each in sentences for _, tag in each.pieces} == {"", *TAGS}
    assert any(not any(tag for _, tag in each.pieces) for each in sentences)


@given(PIECES)
def test_marked_text_is_parsed_unchanged(pieces: list[tuple[str, str]]) -> None:
    sentence = Sentence(Pattern("", "", ""), tuple(pieces))
    assert read_marked(sentence.marked) == _joined(sentence.pieces)


def test_an_undefined_slot_is_reported_with_its_pattern(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('[friendly]\nlove = """\n我爱{you}\n"""\n', encoding="utf-8")
    with pytest.raises(PatternError, match=r"train\.toml: 我爱\{you\}: undefined slots: you"):
        read(path)


def _kernel(pattern: Pattern) -> str:
    """A pattern without its slots and punctuation."""
    return re.sub(r"\{\w+\}|\W", "", pattern.text)


def _joined(pieces: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Adjacent plain pieces are joined, and empty pieces are dropped."""
    tagged: list[tuple[str, str]] = []
    for text, tag in pieces:
        if tagged and not tag and not tagged[-1][1]:
            tagged[-1] = (tagged[-1][0] + text, "")
        elif text:
            tagged.append((text, tag))
    return tuple(tagged)
