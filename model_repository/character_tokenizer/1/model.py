"""Text becomes numbers, one for each character: the first step of `chinese_texts` and `token_tagger`.

TEXT STRING [1] in. For each file NAME.json beside this one, out as far as it is asked for: NAME_IDS INT64 [length], the
places of the characters in the file's vocabulary, and NAME_TOKENS STRING [length], the characters, "" where the text
has ended; NAME in capital letters. White space is left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

PADDING = 0
"""Stands where a text has no character."""

UNKNOWN = 1
"""Stands for characters that are not in the vocabulary."""

_FIRST = 2


class Characters:
    """How one model reads texts: `length` characters, padded on the left or the right.

    Of longer texts it reads the last characters when padded on the left, as then the end counts most, else the first.
    """

    def __init__(self, vocabulary: Sequence[str], length: int, *, pad_left: bool) -> None:
        self.vocabulary = "".join(vocabulary)
        self.length = length
        self.pad_left = pad_left
        self._ids = {character: index for index, character in enumerate(vocabulary, start=_FIRST)}

    @classmethod
    def read(cls, path: Path) -> Characters:
        """Read what `write` wrote."""
        facts = json.loads(path.read_text(encoding="utf-8"))
        return cls(facts["vocabulary"], facts["length"], pad_left=facts["pad_left"])

    def write(self, path: Path) -> None:
        """Write a readable file."""
        facts = {"length": self.length, "pad_left": self.pad_left, "vocabulary": self.vocabulary}
        path.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @property
    def size(self) -> int:
        """Count the numbers that `ids` may give."""
        return _FIRST + len(self.vocabulary)

    def tokens(self, text: str) -> list[str]:
        """Give the characters that are read, padded with "" to the length."""
        characters = list("".join(text.split()))
        empty = [""] * (self.length - len(characters))
        return empty + characters[-self.length :] if self.pad_left else characters[: self.length] + empty

    def ids(self, text: str) -> list[int]:
        """Give the number of each token."""
        return [self._ids.get(token, UNKNOWN) if token else PADDING for token in self.tokens(text)]


class TritonPythonModel:
    """One instance of the step; Triton makes it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the vocabularies."""
        import triton_python_backend_utils as pb

        self._pb = pb
        folder = Path(args["model_repository"]) / args["model_version"]
        self._readers = {path.stem.upper(): Characters.read(path) for path in sorted(folder.glob("*.json"))}

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request; a text that is not UTF-8 spoils its own request alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        sent = self._pb.get_input_tensor_by_name(request, "TEXT").as_numpy()
        try:
            texts = [text.decode() for text in sent.reshape(-1)]
        except UnicodeDecodeError:
            wrong = self._pb.TritonError("input 'TEXT': text is not UTF-8", self._pb.TritonError.INVALID_ARG)
            return self._pb.InferenceResponse(error=wrong)
        return self._pb.InferenceResponse(
            [self._output(name, texts) for name in sorted(request.requested_output_names())]
        )

    def _output(self, name: str, texts: list[str]) -> Any:
        model, kind = name.rsplit("_", maxsplit=1)
        reader = self._readers[model]
        if kind == "IDS":
            return self._pb.Tensor(name, np.array([reader.ids(text) for text in texts], dtype=np.int64))
        tokens = [[token.encode() for token in reader.tokens(text)] for text in texts]
        return self._pb.Tensor(name, np.array(tokens, dtype=np.object_))
