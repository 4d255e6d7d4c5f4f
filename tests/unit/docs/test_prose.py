"""Documentation does not use the phrases that CONTRIBUTING.md lists as avoided."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.paths import ROOT

GUIDELINES = ROOT / "CONTRIBUTING.md"
GENERATED = {ROOT / "docs" / "api-reference.md"}
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")} - GENERATED)


def avoided() -> list[str]:
    """The right column of the word list."""
    table = GUIDELINES.read_text().partition("| preferred | avoided |\n|---|---|\n")[2].partition("\n\n")[0]
    return [phrase.strip() for row in table.splitlines() for phrase in row.split("|")[2].split(",")]


def pattern(phrases: list[str]) -> re.Pattern[str]:
    """Any of the phrases as whole words, over line breaks; an ellipsis stands for some words of one sentence."""
    parts = [r"[^.]{1,60}".join(_words(half) for half in phrase.split(" … ")) for phrase in phrases]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})(?![\w-])", re.IGNORECASE)


def _words(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in text.split())


def prose(page: Path) -> str:
    """A page without its code blocks and code spans."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "``", text)


def test_the_word_list_is_read() -> None:
    """Each kind of phrase is found, and only as whole words."""
    search = pattern(avoided()).search
    assert search("is rendered\nAnew")
    assert search("wanted FP32, given FP64")
    assert search("Enters: a path")
    assert not search("the canewood")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_avoided_phrase(page: Path) -> None:
    """Use the preferred term in the same row of the list."""
    assert [" ".join(found.split()) for found in pattern(avoided()).findall(prose(page))] == []
