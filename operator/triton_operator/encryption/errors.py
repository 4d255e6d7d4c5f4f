"""The errors of encryption and decryption.

TritonOperatorError
├── EncryptionError
├── KeysetError
├── DecryptionError         has the condition reason that `prepare` reports
└── VaultError
    ├── VaultDeniedError
    ├── VaultUntrustedError
    └── VaultUnreachableError
"""

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


class VaultError(TritonOperatorError):
    """A request to a vault failed; the message names its address, and never contains a token or a key."""


class VaultDeniedError(VaultError):
    """The vault does not allow the request, or does not have what it names; `answer` describes its response."""

    def __init__(self, address: str, status: int, answer: str) -> None:
        super().__init__(f"{address} answered {answer}")
        self.status = status
        self.answer = answer


class VaultUntrustedError(VaultError):
    """The certificate of the vault is not trusted, so nothing was sent."""


class VaultUnreachableError(VaultError):
    """The vault does not respond, is sealed, or reports an error of its own; a retry may succeed."""
