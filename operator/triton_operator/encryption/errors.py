"""The errors of encryption and decryption; those of decryption carry the condition reason that `prepare` reports."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class EncryptionError(TritonOperatorError):
    """A model cannot be encrypted; the message names the file."""


class KeysetError(TritonOperatorError):
    """A file does not contain a usable set of keys."""


class DecryptionError(TritonOperatorError):
    """An encrypted model cannot be decrypted. `reason` is a condition reason; the message names the file."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
