"""Personal data is replaced by what its action says, and tokens can be reversed."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.masking import corpus
from triton_operator.masking import Masker, MaskingAction, MaskingError, PersonalDataKind, Span, TokenVault
from triton_operator.masking.actions import read_key

TEXT = "我是林晓东 电话 139 1234 5678 a@example.com"
KEY = b"0123456789abcdef"

PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "<PHONE_1>",
            "<PHONE_",
            "1>",
            "<",
            ">",
            "<TEXT_1>",
            "<NAME_2",
            "\uff1cNAME_1\uff1e",
            "<A_13912345678>",
            "\ud800",
        ]
    ),
    st.sampled_from(["13912345678", "林晓东", "a@example.com", "Laura Hansen", "4111 1111 1111 1111", "我叫", "call "]),
)
ANY_TEXT = st.lists(PIECES, max_size=8).map("".join)
"""Any Unicode text, often with personal data, with tokens and with parts of tokens."""


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (MaskingAction.MASK, "我是*** 电话 *** **** **** *************"),
        (MaskingAction.REPLACE, "我是<NAME> 电话 <PHONE> <EMAIL>"),
        (MaskingAction.TOKENIZE, "我是<NAME_1> 电话 <PHONE_1> <EMAIL_1>"),
    ],
)
def test_each_action_writes_its_replacement(action: MaskingAction, expected: str) -> None:
    assert Masker(action, vault=TokenVault()).mask(TEXT) == (expected, Counter(NAME=1, PHONE=1, EMAIL=1))


def test_each_type_can_have_its_action_and_other_types_are_kept() -> None:
    masker = Masker({PersonalDataKind.NAME: MaskingAction.MASK, PersonalDataKind.EMAIL: MaskingAction.REPLACE})
    assert masker.mask(TEXT).text == "我是*** 电话 139 1234 5678 <EMAIL>"


def test_a_hash_depends_on_the_value_and_the_key_only() -> None:
    """Separators and the form of digits do not change it."""
    masker = Masker(MaskingAction.HASH, key=KEY)
    one, other = masker.mask("tel 13912345678").text, masker.mask("tel 139-1234-5678").text
    assert one == other
    assert one.startswith("tel <PHONE:")
    assert len(one) == len("tel <PHONE:>") + 16
    assert masker.mask("tel 13912345679").text != one
    assert Masker(MaskingAction.HASH, key=KEY[::-1]).mask("tel 13912345678").text != one


@pytest.mark.parametrize("action", [MaskingAction.HASH, MaskingAction.TOKENIZE])
def test_an_action_without_its_key_or_vault_is_refused(action: MaskingAction) -> None:
    with pytest.raises(MaskingError, match="key" if action is MaskingAction.HASH else "vault"):
        Masker(action, key=b"short")


def test_the_key_is_a_line_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert read_key(tmp_path / "key") == KEY
    with pytest.raises(MaskingError, match="No such file"):
        read_key(tmp_path / "none")


def test_the_same_value_has_the_same_token_until_the_vault_is_cleared() -> None:
    vault = TokenVault()
    masker = Masker(MaskingAction.TOKENIZE, vault=vault)
    assert masker.mask("13912345678 13912345679 13912345678").text == "<PHONE_1> <PHONE_2> <PHONE_1>"
    assert vault.unmask("<PHONE_2>, <PHONE_3>") == "13912345679, <PHONE_3>"
    vault.clear()
    assert vault.unmask("<PHONE_2>") == "<PHONE_2>"


@given(ANY_TEXT, ANY_TEXT)
def test_tokens_are_turned_back_whatever_the_text_is(first: str, second: str) -> None:
    vault = TokenVault()
    masker = Masker(MaskingAction.TOKENIZE, vault=vault)
    masked = [masker.mask(first).text, masker.mask(second).text]
    assert [vault.unmask(each) for each in masked] == [first, second]


@pytest.mark.parametrize("language", corpus.LANGUAGES)
def test_the_frozen_sentences_are_turned_back(language: str) -> None:
    vault = TokenVault()
    masker = Masker(MaskingAction.TOKENIZE, vault=vault)
    for sentence in corpus.sentences(language):
        assert vault.unmask(masker.mask(sentence.text).text) == sentence.text


def test_a_token_in_a_text_names_no_value_of_another_text() -> None:
    """Otherwise, a text could make the client show what another text contained."""
    vault = TokenVault()
    masker = Masker(MaskingAction.TOKENIZE, vault=vault)
    masker.mask("13912345678")
    assert masker.mask("say <PHONE_1>") == ("say <TEXT_1>", Counter())
    assert vault.unmask("say <TEXT_1>") == "say <PHONE_1>"


def test_own_recognizers_use_the_action_for_all_types_or_replace() -> None:
    staff = [lambda text: iter([Span(0, 4, "STAFF")])]
    assert Masker(MaskingAction.MASK, recognizers=staff).mask("A123 ok").text == "**** ok"
    assert Masker({PersonalDataKind.NAME: MaskingAction.MASK}, recognizers=staff).mask("A123 ok").text == "<STAFF> ok"


@pytest.mark.parametrize("action", MaskingAction)
def test_neither_logs_nor_representations_show_a_value(action: MaskingAction, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vault = TokenVault()
    masker = Masker(action, key=KEY, vault=vault)
    outcome = masker.mask(TEXT)
    shown = f"{masker!r} {vault!r} {outcome!r} {caplog.text}"
    assert not caplog.records
    assert not any(value in shown for value in ("林晓东", "1234", "a@example"))
    assert repr(vault) == f"TokenVault({3 if action is MaskingAction.TOKENIZE else 0} values)"
