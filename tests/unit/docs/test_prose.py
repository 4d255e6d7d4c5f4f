"""Documentation and code do not use the phrases that CONTRIBUTING.md lists as avoided."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

GUIDELINES = ROOT / "CONTRIBUTING.md"
GENERATED = {ROOT / "docs" / "api-reference.md"}
"""Written from the CRD."""
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")} - GENERATED)
COPIED = ROOT / "training" / "text_steps"
"""Files that model_repository has copies of, whose digests are in the model cards."""
SOURCES = sorted(
    path
    for folder in ("operator", "hack", "training")
    for path in (ROOT / folder).rglob("*.py")
    if COPIED not in path.parents
)
TESTS = sorted({*(ROOT / "tests").rglob("*.py")} - {Path(__file__).resolve()})
MANIFESTS = [
    path
    for pattern in (
        "Makefile",
        "pyproject.toml",
        "hack/**/*.go",
        "crds/*.yaml",
        "charts/**/*.yaml",
        "charts/**/*.tpl",
        "charts/**/*.txt",
        "examples/*.yaml",
    )
    for path in sorted(ROOT.glob(pattern))
]


def avoided() -> list[str]:
    """The right column of the word list."""
    table = GUIDELINES.read_text().partition("| preferred | avoided |\n|---|---|\n")[2].partition("\n\n")[0]
    return [phrase.strip() for row in table.splitlines() for phrase in row.split("|")[2].split(",")]


def pattern(phrases: list[str]) -> re.Pattern[str]:
    """Any of the phrases as whole words, also across line breaks; an ellipsis matches some words of one sentence."""
    parts = [r"[^.]{1,60}".join(_words(half) for half in phrase.split(" … ")) for phrase in phrases]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})(?![\w-])", re.IGNORECASE)


def _words(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in text.split())


def found_in(text: str) -> list[str]:
    """The avoided phrases in a text, in order."""
    return [" ".join(phrase.split()) for phrase in pattern(avoided()).findall(text)]


def prose(page: Path) -> str:
    """A page without its code blocks and code spans."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "``", text)


def sentences(source: str) -> Iterator[str]:
    """Docstrings, messages, help texts and comments of a module: its strings, and its comments as one text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    yield comments(source)


def documentation(source: str) -> Iterator[str]:
    """Docstrings of a module and of its parts, and its comments as one text; not names of test cases or test data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    yield comments(source)


def comments(source: str) -> str:
    """All comments of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join(token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT)


def test_the_word_list_is_read() -> None:
    """Each kind of phrase is found, and only as whole words."""
    assert found_in("is rendered\nAnew") == ["Anew"]
    assert found_in("wanted FP32, given FP64") == ["wanted FP32, given"]
    assert found_in("Enters: a path") == ["Enters:"]
    assert found_in("the canewood") == []


def test_strings_and_comments_of_a_module_are_read() -> None:
    """Names are not."""
    module = '"""Made anew."""\nanew = f"goes on {1}"  # It is told.\n'
    assert [phrase for text in sentences(module) for phrase in found_in(text)] == ["anew", "goes on", "is told"]
    assert [phrase for text in documentation(module) for phrase in found_in(text)] == ["anew", "is told"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_no_avoided_phrase(page: Path) -> None:
    """Use the preferred term in the same row of the list."""
    assert found_in(prose(page)) == []


@pytest.mark.parametrize("module", SOURCES, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_module_has_no_avoided_phrase(module: Path) -> None:
    """As above, for what users and readers of the code see."""
    assert [phrase for text in sentences(module.read_text()) for phrase in found_in(text)] == []


@pytest.mark.parametrize("module", TESTS, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_test_has_no_avoided_phrase(module: Path) -> None:
    """As above, for docstrings and comments."""
    assert [phrase for text in documentation(module.read_text()) for phrase in found_in(text)] == []


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: str(manifest.relative_to(ROOT)))
def test_a_manifest_has_no_avoided_phrase(manifest: Path) -> None:
    """Descriptions in the CRD, comments and notes of the chart and the examples, settings and Go programs."""
    assert found_in(manifest.read_text()) == []
