"""Parse protobuf text format without protobuf, as far as a config.pbtxt needs it.

Input: text. Output: a Message of nested values; `checked_values` and `values` read Python values from it. The
operator's image has no protobuf runtime. The grammar is the published one (protobuf.dev, "Text Format Language
Specification") without extensions and `Any` names in brackets, which model configurations do not use. Without a schema
it is not known which fields repeat, so each field has the list of its values in order.
"""

from __future__ import annotations

from typing import TypeAlias

from triton_operator.triton.text.errors import ConfigTextError
from triton_operator.triton.text.tokens import Identifier, Token, TokenKind, tokenize

Value: TypeAlias = "str | Identifier | int | float | Message"
"""A scalar or a message. An Identifier is an unquoted word: an enum value, `true` or `false`."""

Message: TypeAlias = "dict[str, list[Value]]"
"""Values by field, in the order of the text; a map field is a list of `key`/`value` messages."""

MAX_DEPTH = 64
"""Maximum nesting of messages; a model configuration needs six."""

_CLOSING = {"{": "}", "<": ">"}
_NON_FINITE = ("inf", "infinity", "nan")


def parse(text: str) -> Message:
    """Parse a message; raises ConfigTextError with line and column."""
    return _Parser(tokenize(text)).parse()


class _Parser:
    """A recursive-descent parser with one method for each rule of the grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    def parse(self) -> Message:
        return self._fields(opening=None)

    def _fields(self, opening: Token | None) -> Message:
        """Fields up to the end of the message, or of the text for the outermost message."""
        message: Message = {}
        while not self._at(_CLOSING[opening.text] if opening else ""):
            if opening and self._next.kind is TokenKind.END:
                raise opening.error(f'"{opening.text}" is not closed')
            name = self._field_name()
            message.setdefault(name, []).extend(self._field_values())
            if self._at(",") or self._at(";"):
                self._take()
        return message

    def _field_name(self) -> str:
        token = self._take()
        if token.kind is not TokenKind.IDENTIFIER:
            raise token.error(f"expected the name of a field, found {token.shown}")
        return token.text

    def _field_values(self) -> list[Value]:
        """The values after a name; the colon is optional before messages only."""
        colon = self._at(":")
        if colon:
            self._take()
        if self._at("["):
            return self._values_in_brackets(scalars=colon)
        if self._at_message():
            return [self._message()]
        if not colon:
            raise self._next.error(f'expected ":", "{{" or "[", found {self._next.shown}')
        return [self._scalar()]

    def _values_in_brackets(self, *, scalars: bool) -> list[Value]:
        self._take()
        values: list[Value] = []
        while not self._at("]"):
            if values:
                self._expect(",")
            values.append(self._element(scalar=scalars))
        self._take()
        return values

    def _element(self, *, scalar: bool) -> Value:
        if self._at_message():
            return self._message()
        if not scalar:
            raise self._next.error(f"expected a message or, after a colon, a value, found {self._next.shown}")
        return self._scalar()

    def _message(self) -> Message:
        opening = self._take()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise opening.error(f"messages are nested more than {MAX_DEPTH} deep")
        message = self._fields(opening)
        self._take()
        self._depth -= 1
        return message

    def _scalar(self) -> Value:
        token = self._take()
        match token.kind:
            case TokenKind.STRING:
                return self._joined_strings(token)
            case TokenKind.IDENTIFIER:
                return Identifier(token.text)
            case TokenKind.NUMBER:
                return token.number()
            case _ if token.text == "-":
                return self._negative()
            case _:
                raise token.error(f"expected a value, found {token.shown}")

    def _joined_strings(self, first: Token) -> str:
        """Adjacent literals form one value; only the whole value must be UTF-8."""
        content = first.content
        while self._next.kind is TokenKind.STRING:
            content += self._take().content
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise first.error("the string is not UTF-8") from error

    def _negative(self) -> Value:
        token = self._take()
        if token.kind is TokenKind.NUMBER:
            return -token.number()
        if token.kind is TokenKind.IDENTIFIER and token.text.lower() in _NON_FINITE:
            return -float(token.text)
        raise token.error(f'expected a number after "-", found {token.shown}')

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _at(self, symbol: str) -> bool:
        token = self._next
        return token.kind in {TokenKind.SYMBOL, TokenKind.END} and token.text == symbol

    def _at_message(self) -> bool:
        return self._next.kind is TokenKind.SYMBOL and self._next.text in _CLOSING

    def _expect(self, symbol: str) -> None:
        if not self._at(symbol):
            raise self._next.error(f'expected "{symbol}", found {self._next.shown}')
        self._take()

    def _take(self) -> Token:
        token = self._next
        if token.kind is not TokenKind.END:
            self._position += 1
        return token


__all__ = ["ConfigTextError", "Identifier", "Message", "Value", "parse"]
