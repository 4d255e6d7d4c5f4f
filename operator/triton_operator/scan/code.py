"""Find operators in TorchScript code that can leave the sandbox. torch stores this code as text.

Input: an archive, or the text of one file. Output: findings with line numbers. The code is not parsed: a parser that
differs from torch's in one detail could be deceived. Instead, every occurrence of a suspicious word is reported,
even in string literals and comments, and so is every form that torch itself never writes but would load: aliases
(`t = torch`), `getattr(torch, "sa" "ve")`, and comments or line breaks before a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from triton_operator.scan.operators import (
    BUILT_IN,
    BUILT_IN_CLASSES,
    DENIED,
    HARMLESS_LIBRARIES,
    METHODS,
    NETWORK_CLASSES,
    NETWORK_NAMESPACES,
)
from triton_operator.triton.model_file.archive import Archive, ArchiveError

CODE_LIMIT = 8 << 20
"""Maximum size of one file of code, in bytes; a BERT model has 0.2 MB."""

ALL_CODE_LIMIT = 32 << 20
"""Maximum size of all code in an archive, in bytes, as protection against decompression bombs."""

_WORD = re.compile(rf"(?<![A-Za-z0-9_])(?:getattr|ops|__torch__|{'|'.join(sorted(METHODS))})(?![A-Za-z0-9_])")
_OPERATOR = re.compile(r"ops\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")
_DECLARATION = re.compile(r"ops\s*:")
_TYPE = re.compile(r"__torch__((?:\.[A-Za-z0-9_]+){0,4})")
"""Up to four parts, which identify a class of a library; without a limit, long chains would take quadratic time."""
_GETATTR = re.compile(r"getattr\([A-Za-z0-9_.]{1,300}, \"([^\"\\\n]{0,300})\"\)")
_DOT_BEFORE_COMMENT = re.compile(r"\.[\s\\]*#")
_BLANKS = " \t\r\n\f\v\\\0"
_MOST_BLANKS = 4096
"""Maximum number of blanks that are skipped in front of a word; torch writes at most a few."""

_CUSTOM = "no Triton image contains it: use torch's own operators, or build an image that loads its library"
_REMOVE = "remove it and export again"


class CodeFile(NamedTuple):
    """One file of code: its name in the archive, and its text, or the reason why it cannot be read."""

    name: str
    text: str
    problem: str = ""


class CodeFinding(NamedTuple):
    """A finding in one file of code; `advice` is for the author of the model."""

    line: int
    message: str
    advice: str


class _Hit(NamedTuple):
    """A finding by its position in the text."""

    position: int
    message: str
    advice: str = _REMOVE


def read_code(archive: Archive) -> Iterator[CodeFile]:
    """The files of code in an archive; torch finds them by name without regard to case."""
    left = ALL_CODE_LIMIT
    for name in archive.names:
        if not name.lower().startswith("code/") or name.lower().endswith(".debug_pkl"):
            continue
        try:
            code = archive.read(name, min(CODE_LIMIT, left)) or b""
        except ArchiveError as problem:
            yield CodeFile(name, "", str(problem))
            continue
        left -= len(code)
        yield CodeFile(name, code.decode(errors="replace"))


def check_text(text: str) -> Iterator[CodeFinding]:
    """Check the text of one file; findings are in the order of their positions."""
    line, counted = 1, 0
    for hit in _hits(text):
        line += text.count("\n", counted, hit.position)
        counted = hit.position
        yield CodeFinding(line, hit.message, hit.advice)


def foreign_class(path: str) -> str:
    """Why a model should not use the type `path`, such as `.torch.classes.rnn.CellParamsBase`; "" if it may."""
    parts = path.split(".")[1:]
    if parts[:2] == ["torch", "classes"] and len(parts) >= len(("torch", "classes", "NAMESPACE", "NAME")):
        return _foreign_class(parts[2], parts[3])
    is_prefix = parts in ([], ["torch"]) or parts[:2] == ["torch", "classes"]
    return "hides which class it uses" if is_prefix else ""


def _foreign_class(namespace: str, name: str) -> str:
    if namespace in NETWORK_CLASSES:
        return f"uses the class {namespace}::{name}, which connects to other processes"
    return "" if namespace in BUILT_IN_CLASSES else f"uses the custom class {namespace}::{name}"


def _hits(text: str) -> Iterator[_Hit]:
    for found in _WORD.finditer(text):
        word, position = found[0], found.start()
        if word == "getattr":
            yield from _check_getattr(text, position)
        elif word == "ops":
            yield from _check_operator(text, position)
        elif word == "__torch__":
            yield from _check_type(text, position)
        elif _follows_dot(text, position):
            yield _Hit(position, f"{DENIED[f'aten::{word}']} (torch.{word})")


def _check_operator(text: str, position: int) -> Iterator[_Hit]:
    """Every use of `ops`: an operator, an attribute with this name, or a way to hide the operator."""
    if text[max(position - 1, 0) : position] == "." or _DECLARATION.match(text, position):
        return
    found = _OPERATOR.match(text, position)
    if found is None:
        yield _Hit(position, "hides which operator it uses")
        return
    namespace, name = found.groups()
    full = f"{namespace}::{name}"
    if full in DENIED:
        # The methods are found by their own word.
        if namespace != "aten":
            yield _Hit(position, f"{DENIED[full]} ({full})")
    elif namespace in NETWORK_NAMESPACES:
        yield _Hit(position, f"exchanges data with other processes ({full})")
    elif namespace not in BUILT_IN | HARMLESS_LIBRARIES:
        yield _Hit(position, f"uses the custom operator {full}", _CUSTOM)


def _check_type(text: str, position: int) -> Iterator[_Hit]:
    """Every use of `__torch__`, from which code reaches the classes of C++ libraries."""
    found = _TYPE.match(text, position)
    if problem := foreign_class(found[1] if found else ""):
        yield _Hit(position, problem, _CUSTOM if "custom" in problem else _REMOVE)


def _check_getattr(text: str, position: int) -> Iterator[_Hit]:
    """A use of `getattr`; torch writes it for attributes whose names are not identifiers, always in the same form."""
    found = _GETATTR.match(text, position)
    if found is None:
        yield _Hit(position, "hides the name of an attribute (getattr)")
    elif found[1] in METHODS:
        yield _Hit(position, f"{DENIED[f'aten::{found[1]}']} (torch.{found[1]})")


def _follows_dot(text: str, position: int) -> bool:
    """Whether the word at `position` is an attribute: a dot is before it, then only blanks, backslashes and comments.

    A `#` can also be part of a string literal, so every place where a comment could start is considered.
    """
    nearest = max(position - _MOST_BLANKS, 0)
    start = text.rfind("\n", nearest, position) + 1
    before = _without_blanks(text[start or nearest : position])
    if not before and not start and nearest:
        return True
    while not before and start > 0:
        end, start = start - 1, text.rfind("\n", 0, start - 1) + 1
        line = text[start:end]
        if _DOT_BEFORE_COMMENT.search(line):
            return True
        before = "" if line.lstrip().startswith("#") else _without_blanks(line)
    return before.endswith(".")


def _without_blanks(text: str) -> str:
    """The text without blanks and backslashes at its end."""
    return text.rstrip(_BLANKS)
