"""`Masker`: replaces personal data in text.

Input: a text. Output: the text without personal data, and how many parts of each type were replaced. It neither logs
nor keeps texts; only a vault keeps values, and it belongs to the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from triton_operator.masking.actions import MaskingAction, Replacement, hashed, masked, replaced
from triton_operator.masking.errors import MaskingError
from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.lexicon import chinese
from triton_operator.masking.phones import library
from triton_operator.masking.recognition import Recognizer, find
from triton_operator.masking.vault import TEXT, TOKEN, TokenVault
from triton_operator.masking.word_lists import word_list


class Masked(NamedTuple):
    """A text without personal data, and the number of replaced parts by type."""

    text: str
    counts: Counter[str]


class Masker:
    """Masks texts in one way.

    Args:
        actions: An action for all types, or an action for each type to mask.
        key: The secret of the action `hash`, at least 16 bytes.
        vault: Keeps the values behind the tokens of the action `tokenize`.
        recognizers: Functions that find further personal data, of any type, in the form of `plain`. If `actions` has no
            action for their type, it is that of `actions` if that is one for all, else `replace`.
    """

    def __init__(
        self,
        actions: MaskingAction | Mapping[PersonalDataKind, MaskingAction] = MaskingAction.REPLACE,
        *,
        key: bytes = b"",
        vault: TokenVault | None = None,
        recognizers: Iterable[Recognizer] = (),
    ) -> None:
        by_kind = dict.fromkeys(PersonalDataKind, actions) if isinstance(actions, MaskingAction) else dict(actions)
        default = actions if isinstance(actions, MaskingAction) else MaskingAction.REPLACE
        self._recognizers = tuple(recognizers)
        self._vault = vault
        replacements = {action: _replacement(action, key, vault) for action in {*by_kind.values(), default}}
        self._replacements: dict[str, Replacement] = {kind: replacements[each] for kind, each in by_kind.items()}
        self._default = replacements[default]
        if vault is not None:
            self._replacements[TEXT] = vault.token

    @staticmethod
    def load() -> None:
        """Read the dictionaries now and not with the first text; raises MaskingError if a package is missing."""
        chinese()
        library()
        word_list("given_names")

    def mask(self, text: str) -> Masked:
        """Return the text without the personal data that was found in it."""
        parts, counts, place = [], Counter[str](), 0
        for start, end, kind in self._spans(text):
            parts.append(text[place:start])
            parts.append(self._replacements.get(kind, self._default)(kind, text[start:end]))
            counts[str(kind)] += kind != TEXT
            place = end
        return Masked("".join([*parts, text[place:]]), +counts)

    def _spans(self, text: str) -> list[Span]:
        """Return what is replaced; if there is a vault, also what looks like a token."""
        recognizers = self._recognizers if self._vault is None else (_tokens, *self._recognizers)
        return find(text, self._replacements, recognizers)


def _tokens(text: str) -> Iterator[Span]:
    return (Span(match.start(), match.end(), TEXT) for match in TOKEN.finditer(text))


def _replacement(action: MaskingAction, key: bytes, vault: TokenVault | None) -> Replacement:
    if action is MaskingAction.HASH:
        return hashed(key)
    if action is MaskingAction.TOKENIZE:
        if vault is None:
            raise MaskingError("the action tokenize needs a vault, which stays with the caller: use `client.masked()`")
        return vault.token
    return {MaskingAction.MASK: masked, MaskingAction.REPLACE: replaced}[action]
