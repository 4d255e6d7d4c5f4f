"""The vault and the masker of one `client.masked()`.

Input: values as `infer` accepts them, and Predictions. Output: the same, with the texts masked or unmasked. Pure,
except for the vault, which exists in this process only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from triton_operator.masking import Masker, MaskingAction, MaskingError, PersonalDataKind, Recognizer, TokenVault
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.prediction import Prediction
from triton_operator.sdk.tensors import Array

_TEXT_TYPES = "OSU"
"""NumPy's type codes of texts and of Python objects."""


class Conversation:
    """Masks the values of requests, and unmasks the texts of responses, with one vault."""

    def __init__(
        self,
        actions: MaskingAction | str | Mapping[PersonalDataKind, MaskingAction] = MaskingAction.TOKENIZE,
        *,
        key: bytes = b"",
        recognizers: Iterable[Recognizer] = (),
    ) -> None:
        self._vault = TokenVault()
        try:
            chosen = MaskingAction(actions) if isinstance(actions, str) else actions
            Masker.load()
            self._masker = Masker(chosen, key=key, vault=self._vault, recognizers=recognizers)
        except (MaskingError, ValueError) as error:
            raise InvalidRequestError("actions", str(error)) from error
        self.counts: Counter[str] = Counter()
        """The number of values that were masked, by type."""

    def mask(self, values: Any) -> Any:
        """Return values in the same form, with every text in them masked."""
        if isinstance(values, Mapping):
            return {name: self.mask(each) for name, each in values.items()}
        if isinstance(values, str):
            return self._mask_text(values)
        if isinstance(values, bytes):
            return self._mask_bytes(values)
        if isinstance(values, list | tuple):
            return [self.mask(each) for each in values]
        if isinstance(values, np.ndarray) and values.dtype.kind in _TEXT_TYPES:
            masked = np.empty(values.shape, dtype=np.object_)
            for place, each in np.ndenumerate(values):
                masked[place] = self.mask(each)
            return masked
        return values

    def unmask(self, prediction: Prediction) -> Prediction:
        """Return a prediction whose texts contain the values again."""
        return replace(prediction, outputs={name: self._unmasked(each) for name, each in prediction.outputs.items()})

    def end(self) -> None:
        """Forget the values."""
        self._vault.clear()

    def _mask_text(self, text: str) -> str:
        outcome = self._masker.mask(text)
        self.counts.update(outcome.counts)
        return outcome.text

    def _mask_bytes(self, data: bytes) -> bytes:
        try:
            return self._mask_text(data.decode()).encode()
        except UnicodeDecodeError:
            raise InvalidRequestError("inputs", "bytes that are not UTF-8 cannot be masked") from None

    def _unmasked(self, output: Array) -> Array:
        if output.dtype.kind not in _TEXT_TYPES:
            return output
        texts = np.empty(output.shape, dtype=np.object_)
        for place, each in np.ndenumerate(output):
            texts[place] = self._unmasked_text(each)
        return texts

    def _unmasked_text(self, text: Any) -> Any:
        if isinstance(text, bytes):
            # Output that is not UTF-8 keeps its bytes.
            return self._vault.unmask(text.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        return text
