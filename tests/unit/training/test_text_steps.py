"""The ensemble steps of the text models: they encode text as in training, and convert scores to labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.paths import ROOT
from training import text_data
from training.text_steps.characters import PADDING, UNKNOWN, Characters
from training.text_steps.labels import choose
from training.text_steps.wordpieces import WordPieces

REPOSITORY = ROOT / "model_repository"
STEPS = {
    "character_tokenizer": "characters",
    "wordpiece_tokenizer": "wordpieces",
    "feeling_labels": "labels",
    "entity_labels": "labels",
}

TEXTS = st.text(
    st.one_of(
        st.sampled_from("我爱你好呀不讨厌，。！？「」"),  # noqa: RUF001 - marks as Chinese has them.
        st.sampled_from("abcdefghijklmnopqrstuvwxyzABCXYZ  .,!?'-"),
        st.sampled_from("äéñßøÅİıŁſΣσςЖё한국어かなガｶﾞ①½ﬁ\u0301\u0308"),
        st.sampled_from("\t\n\r\x00\x07\x7f\u200b\u00a0\u3000\u2028\ufffd\ufeff$+<=>^`|~_@#€©😀👍🏽𠀀𫠝"),
        st.characters(max_codepoint=0x24F, exclude_categories=["Cn"]),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    return WordPieces.read(REPOSITORY / "wordpiece_tokenizer" / "1")


@pytest.fixture(scope="module")
def library(pieces: WordPieces) -> Tokenizer:
    """BERT's tokenizer of the `tokenizers` library, with the committed vocabulary."""
    numbers = {piece: index for index, piece in enumerate(pieces.vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", numbers["[SEP]"]), ("[CLS]", numbers["[CLS]"]))
    tokenizer.enable_truncation(pieces.length)
    tokenizer.enable_padding(length=pieces.length, pad_id=numbers["[PAD]"])
    return tokenizer


@pytest.mark.parametrize("name", STEPS)
def test_the_committed_program_is_the_one_that_training_uses(name: str) -> None:
    source = ROOT / "training" / "text_steps" / f"{STEPS[name]}.py"
    assert (REPOSITORY / name / "1" / "model.py").read_bytes() == source.read_bytes()


def test_word_pieces_equal_those_of_the_library_for_every_sentence(pieces: WordPieces, library: Tokenizer) -> None:
    """For thousands of sentences in both languages, in lower and title case."""
    sentences = [
        each.text for name in text_data.SETS for part in text_data.PARTS for each in text_data.sentences(name, part)
    ]
    texts = [*sentences, *(each.title() for each in sentences), "Hello, my dog is cute", "我爱你 and so on"]
    assert len(texts) > 10_000
    for text, expected in zip(texts, library.encode_batch(texts), strict=True):
        assert pieces.encode(text) == (expected.ids, expected.attention_mask), text


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
@example("x" * 101)
@example("a " * 40)
@example("")
def test_word_pieces_equal_those_of_the_library_for_any_text(pieces: WordPieces, library: Tokenizer, text: str) -> None:
    expected = library.encode(text)
    assert pieces.encode(text) == (expected.ids, expected.attention_mask)


def test_word_pieces_can_be_written_and_read(tmp_path: Path, pieces: WordPieces) -> None:
    pieces.write(tmp_path)
    again = WordPieces.read(tmp_path)
    assert (again.vocabulary, again.length, again.lowercase) == (pieces.vocabulary, pieces.length, pieces.lowercase)


def test_a_text_is_padded_on_the_configured_side() -> None:
    assert Characters("你好", 4, pad_left=True).ids("你好呀") == [PADDING, 2, 3, UNKNOWN]
    assert Characters("你好", 4, pad_left=False).ids("你好呀") == [2, 3, UNKNOWN, PADDING]


def test_a_longer_text_is_truncated_on_the_side_of_the_padding() -> None:
    assert Characters("", 2, pad_left=True).tokens("我爱你") == ["爱", "你"]
    assert Characters("", 2, pad_left=False).tokens("我爱你") == ["我", "爱"]


@given(st.text(), st.booleans())
def test_every_character_gets_an_id_of_the_vocabulary(text: str, left: bool) -> None:
    reader = Characters("你好呀", 10, pad_left=left)
    ids, tokens = reader.ids(text), reader.tokens(text)
    assert len(ids) == len(tokens) == 10
    assert all(0 <= number < reader.size for number in ids)
    assert [number == PADDING for number in ids] == [token == "" for token in tokens]
    assert "".join(tokens) in "".join(text.split())


def test_characters_can_be_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "chinese_texts.json"
    Characters('你"\\', 7, pad_left=True).write(path)
    again = Characters.read(path)
    assert (again.vocabulary, again.length, again.pad_left) == ('你"\\', 7, True)
    assert '"length": 7' in json.dumps(json.loads(path.read_text(encoding="utf-8")))


def test_one_score_is_the_probability_of_the_second_label() -> None:
    labels, probabilities = choose(np.array([[0.75], [0.25]], dtype=np.float32), ["no", "yes"])
    assert labels.tolist() == [[b"yes"], [b"no"]]
    assert probabilities.tolist() == [[0.75], [0.75]]


def test_each_token_gets_a_label() -> None:
    scores = np.array([[[0.25, 0.75], [0.5, 0.5]]], dtype=np.float32)
    labels, probabilities = choose(scores, ["O", "名"])
    assert labels.tolist() == [["名".encode(), b"O"]]
    assert probabilities.tolist() == [[0.75, 0.5]]
