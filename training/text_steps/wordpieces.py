"""Text becomes the pieces of words that BERT knows: the first step of `bert_texts`.

TEXT STRING [1] in; IDS INT64 [length] and MASK INT64 [length] out: the numbers of the pieces between [CLS] and [SEP],
and 1 for each of them, 0 where the text has ended. Beside this file lie vocabulary.txt, a piece on each line, and
settings.json with the length and whether letters are made small. The rules are those of BERT's own tokenizer, written
anew in plain Python; tests hold them against the `tokenizers` library.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_LONGEST_WORD = 100
"""Characters; a longer word is unknown."""

_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # As the library has it; the block begins at 0x2B820.
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""Ranges of characters that are words of their own."""


class WordPieces:
    """BERT's tokenizer over a vocabulary that has [PAD], [UNK], [CLS] and [SEP]."""

    def __init__(self, vocabulary: Sequence[str], length: int, *, lowercase: bool = True) -> None:
        self.vocabulary = list(vocabulary)
        self.length = length
        self.lowercase = lowercase
        self._ids = {piece: index for index, piece in enumerate(vocabulary)}
        self._padding, self._unknown, self._start, self._end = (
            self._ids[piece] for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
        )

    @classmethod
    def read(cls, folder: Path) -> WordPieces:
        """Read what `write` wrote."""
        vocabulary = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        return cls(vocabulary, settings["length"], lowercase=settings["lowercase"])

    def write(self, folder: Path) -> None:
        """Write two readable files."""
        (folder / "vocabulary.txt").write_text("".join(f"{piece}\n" for piece in self.vocabulary), encoding="utf-8")
        settings = json.dumps({"length": self.length, "lowercase": self.lowercase}, indent=1)
        (folder / "settings.json").write_text(settings + "\n", encoding="utf-8")

    def encode(self, text: str) -> tuple[list[int], list[int]]:
        """Give the numbers and the mask of a text, cut and padded to the length."""
        pieces = [
            number for word in split_words(clean(text, lowercase=self.lowercase)) for number in self._pieces(word)
        ]
        ids = [self._start, *pieces[: self.length - 2], self._end]
        padding = self.length - len(ids)
        return ids + [self._padding] * padding, [1] * len(ids) + [0] * padding

    def _pieces(self, word: str) -> list[int]:
        """Take the longest piece that the word begins with, then of the rest; unknown when there is none."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._ids), None)
            if end is None:
                return [self._unknown]
            found.append(self._ids[prefix + word[start:end]])
            start = end
        return found


def clean(text: str, *, lowercase: bool) -> str:
    """Leave out control characters, put spaces around Chinese characters, and take accents and capitals away."""
    characters = "".join(_spaced(each) for each in text if each in "\t\n\r" or not _is_control(each))
    if not lowercase:
        return characters
    plain = [each for each in unicodedata.normalize("NFD", characters) if unicodedata.category(each) != "Mn"]
    return "".join(each.lower() for each in plain)  # One by one: Python looks at a sigma's neighbours otherwise.


def split_words(text: str) -> Iterator[str]:
    """Split at white space, and around each punctuation mark."""
    for word in text.split():
        start = 0
        for index, character in enumerate(word):
            if _is_punctuation(character):
                if start < index:
                    yield word[start:index]
                yield character
                start = index + 1
        if start < len(word):
            yield word[start:]


def _spaced(character: str) -> str:
    if character.isspace():
        return " "
    code = ord(character)
    return f" {character} " if any(first <= code <= last for first, last in _CHINESE) else character


def _is_control(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character).startswith("C")


def _is_punctuation(character: str) -> bool:
    return character in "$+<=>^`|~" or unicodedata.category(character).startswith("P")


class TritonPythonModel:
    """One instance of the step; Triton makes it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the vocabulary."""
        import triton_python_backend_utils as pb

        self._pb = pb
        self._reader = WordPieces.read(Path(args["model_repository"]) / args["model_version"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; a text that is not UTF-8 spoils its own request alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        sent = self._pb.get_input_tensor_by_name(request, "TEXT").as_numpy()
        try:
            encoded = [self._reader.encode(text.decode()) for text in sent.reshape(-1)]
        except UnicodeDecodeError:
            wrong = self._pb.TritonError("input 'TEXT': text is not UTF-8", self._pb.TritonError.INVALID_ARG)
            return self._pb.InferenceResponse(error=wrong)
        ids, mask = (np.array(rows, dtype=np.int64) for rows in zip(*encoded, strict=True))
        return self._pb.InferenceResponse([self._pb.Tensor("IDS", ids), self._pb.Tensor("MASK", mask)])
