"""The errors of signing and verification; each carries the condition reason under which `prepare` reports it."""

from __future__ import annotations

from triton_operator.errors import TritonOperatorError


class SigningError(TritonOperatorError):
    """A model cannot be signed: the key is unusable, or the folder contains something that a signature cannot cover."""


class VerificationError(TritonOperatorError):
    """A model is not what its signer signed. `reason` is a condition reason; the message names the file."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class KeyFileError(TritonOperatorError):
    """A file does not contain a public key or certificate that can verify a signature."""
