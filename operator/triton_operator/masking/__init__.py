"""Masks personal data in text, in Chinese and English: names, addresses, and numbers of cards, phones and documents.

Input: texts. Output: texts in which personal data is masked, replaced, hashed, or turned into tokens that a vault turns
back. Pure, apart from reading dictionaries. The model that `tritonctl mask-model` writes contains this package, so it
imports only the standard library and `phonenumbers`. The clients of the SDK use it for `client.masked()`. Requires the
extra `masking`.
"""

from __future__ import annotations

from triton_operator.masking.actions import MaskingAction
from triton_operator.masking.errors import MaskingError
from triton_operator.masking.kinds import PersonalDataKind, Span
from triton_operator.masking.masker import Masked, Masker
from triton_operator.masking.recognition import Recognizer, find
from triton_operator.masking.vault import TokenVault

__all__ = [
    "Masked",
    "Masker",
    "MaskingAction",
    "MaskingError",
    "PersonalDataKind",
    "Recognizer",
    "Span",
    "TokenVault",
    "find",
]
