"""Untrusted text cannot control a terminal, forge a line or reverse the displayed text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triton_operator.api.text import escape, escape_lines
from triton_operator.reconcile.messages import join

ANY_TEXT = st.text(st.characters())  # Including lone surrogates, which file names may contain.


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("digits\n::error::forged", r"digits\n::error::forged"),
        ("a\rb\tc\x7f\x9b31m", r"a\rb\tc\x7f\x9b31m"),
        ("gnp.\u202emodel\u2066\u200b", r"gnp.\u202emodel\u2066\u200b"),
        ("a\u2028b\u2029\x85", r"a\u2028b\u2029\x85"),
        ("caf\udce9", r"caf\udce9"),
        ("数字 模型\u3000é\u00a0ü 👍", "数字 模型\u3000é\u00a0ü 👍"),
        (r"C:\x1b stays", r"C:\x1b stays"),
        ("::error file=a::forged", r":\x3aerror file=a::forged"),
        ("  ::stop-commands::x", r"  :\x3astop-commands::x"),
        ("in ##[add-mask]x and ##vso[task.complete]", r"in #\x23[add-mask]x and #\x23vso[task.complete]"),
        ("::1 and std::vector::at, ## [x]", "::1 and std::vector::at, ## [x]"),
    ],
)
def test_control_characters_become_visible(raw: str, shown: str) -> None:
    assert escape(raw) == shown


@given(ANY_TEXT)
def test_escaped_text_is_one_line_that_can_be_encoded_and_printed(text: str) -> None:
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1
    assert escaped.encode().decode() == escaped
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", escaped)
    assert escape(escaped) == escaped


@given(ANY_TEXT)
def test_each_additional_line_is_indented_and_not_a_command_of_a_ci_system(text: str) -> None:
    first, *others = escape_lines(text).split("\n")
    assert first == escape(first)
    assert all(line.startswith("  ") and line == escape(line) for line in others)
    assert not any(re.match(r"\s*::[a-z]+::", line) or "##[" in line for line in (first, *others))


def test_an_indented_list_keeps_its_lines_and_a_forged_command_does_not() -> None:
    assert escape_lines("models:\n  a: b\x1b\n  c") == "models:\n  a: b\\x1b\n  c"
    assert escape_lines("x\n   ::error::y\nz\n  ##[error]") == "x\n   :\\x3aerror::y\\nz\n  #\\x23[error]"


def test_a_condition_quotes_untrusted_text_in_one_escaped_line() -> None:
    message = join("the log ends:\n  \x1b]0;owned\x07 \u202eback", "ask for more")
    assert message == r"the log ends: \x1b]0;owned\x07 \u202eback; ask for more"
