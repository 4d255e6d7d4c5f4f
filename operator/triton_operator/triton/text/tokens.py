"""Split protobuf text format into tokens with line and column, for `parser`."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from triton_operator.triton.text.errors import ConfigTextError


class Identifier(str):
    """A value that is an unquoted word."""

    __slots__ = ()


class TokenKind(Enum):
    """The kind of a token."""

    IDENTIFIER = auto()
    NUMBER = auto()
    STRING = auto()
    SYMBOL = auto()
    END = auto()


class Token(NamedTuple):
    """One token; `content` is the value of a string literal, without quotes and with its escapes decoded."""

    kind: TokenKind
    text: str
    line: int
    column: int
    content: bytes = b""

    @property
    def shown(self) -> str:
        """The token as an error message quotes it."""
        if self.kind is TokenKind.END:
            return "the end of the file"
        return f'"{self.text[:40]}"' if self.kind is not TokenKind.STRING else "a string"

    def error(self, message: str) -> ConfigTextError:
        """An error at this token."""
        return ConfigTextError(self.line, self.column, message)

    def number(self) -> int | float:
        """Value of a NUMBER: 10, 0x1f, 017, 1.5, 1e3, 2f; raises ConfigTextError if no field can represent it."""
        text = self.text.lower()
        if not (text.isdigit() or text.startswith("0x")):
            return float(text.rstrip("f"))
        # No field is wider than 64 bits, and a million decimal digits would take minutes to convert.
        if len(text.lstrip("0x")) > _MOST_DIGITS or (whole := self._whole(text)) >= 2**64:
            raise self.error("the number has too many digits, or more than 64 bits")
        return whole

    def _whole(self, text: str) -> int:
        if text.startswith("0x"):
            return int(text, 16)
        if not text.startswith("0"):
            return int(text)
        if not re.fullmatch("[0-7]+", text):
            raise self.error(f'"{text}" starts with 0 but is not an octal number')
        return int(text, 8)


_MOST_DIGITS = 22
"""Digits of 64 bits in octal; other bases need fewer."""

_BLANK = re.compile(r"(?:[ \t\v\f\r\n]+|#[^\n]*)+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?")
_ADJACENT = re.compile(r"[A-Za-z0-9_.]")
_SYMBOLS = frozenset("{}<>[]:,;-")
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv?\\'\"])|(?P<octal>[0-7]{1,3})|[xX](?P<hex>[0-9a-fA-F]{1,2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))"
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "?": 63, "\\": 92, "'": 39, '"': 34}
_PLAIN = {quote: re.compile(rf"[^\\\n{quote}]+") for quote in "'\""}


def tokenize(text: str) -> list[Token]:
    """Return all tokens, with END as the last one; raises ConfigTextError at the first invalid character."""
    return _Tokenizer(text).run()


class _Tokenizer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0

    def run(self) -> list[Token]:
        tokens = []
        while True:
            self._skip_blank()
            tokens.append(self._token())
            if tokens[-1].kind is TokenKind.END:
                return tokens

    def _skip_blank(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        if blank is None:
            return
        newlines = blank[0].count("\n")
        if newlines:
            self._line += newlines
            self._line_start = blank.start() + blank[0].rindex("\n") + 1
        self._at = blank.end()

    def _token(self) -> Token:
        if self._at == len(self._text):
            return self._make(TokenKind.END, "")
        first = self._text[self._at]
        if first in "'\"":
            return self._string(first)
        if word := _IDENTIFIER.match(self._text, self._at):
            return self._make(TokenKind.IDENTIFIER, word[0])
        if number := _NUMBER.match(self._text, self._at):
            return self._number(number[0])
        if first in _SYMBOLS:
            return self._make(TokenKind.SYMBOL, first)
        raise self._error(f"unexpected character {first!r}")

    def _number(self, text: str) -> Token:
        end = self._at + len(text)
        if _ADJACENT.match(self._text, end):
            raise self._error(f'"{self._text[self._at : end + 1]}" is not a number')
        return self._make(TokenKind.NUMBER, text)

    def _string(self, quote: str) -> Token:
        start, content = self._at, bytearray()
        at = start + 1
        while (char := self._text[at : at + 1]) != quote:
            if char in {"", "\n"}:
                raise self._error("the string does not end on its line")
            at = self._escape(at, content) if char == "\\" else self._plain(at, quote, content)
        return self._make(TokenKind.STRING, self._text[start : at + 1], bytes(content))

    def _plain(self, at: int, quote: str, content: bytearray) -> int:
        plain = _PLAIN[quote].match(self._text, at)
        assert plain is not None, at  # noqa: S101 -- the caller found a plain character
        try:
            content += plain[0].encode()
        except UnicodeEncodeError as error:
            raise self._error("the string is not UTF-8") from error
        return plain.end()

    def _escape(self, at: int, content: bytearray) -> int:
        escape = _ESCAPE.match(self._text, at)
        if escape is None:
            raise self._error(f"unknown escape {self._text[at : at + 2]!r} in the string")
        content += self._escaped(escape)
        return escape.end()

    def _escaped(self, escape: re.Match[str]) -> bytes:
        if simple := escape["simple"]:
            return bytes((_SIMPLE[simple],))
        if octal := escape["octal"]:
            return self._byte(int(octal, 8), escape[0])
        if digits := escape["hex"]:
            return self._byte(int(digits, 16), escape[0])
        try:
            return chr(int(escape["short"] or escape["long"], 16)).encode()
        except (ValueError, OverflowError) as error:
            raise self._error(f"{escape[0]} is not a Unicode character") from error

    def _byte(self, value: int, shown: str) -> bytes:
        if value > 0xFF:  # noqa: PLR2004 -- one byte
            raise self._error(f"{shown} does not fit into a byte")
        return bytes((value,))

    def _make(self, kind: TokenKind, text: str, content: bytes = b"") -> Token:
        token = Token(kind, text, self._line, self._at - self._line_start + 1, content)
        self._at += len(text)
        return token

    def _error(self, message: str) -> ConfigTextError:
        return ConfigTextError(self._line, self._at - self._line_start + 1, message)
