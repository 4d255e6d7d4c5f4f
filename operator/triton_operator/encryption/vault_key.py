"""A key of a vault that wraps the keysets of models: each model has a keyset of its own, which the vault encrypts.

Input: a VaultClient, a token, and the name of a key. Output: a new keyset with its wrapped form, or the keyset of an
encrypted model. `tritonctl` and `prepare` call it.
"""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import NamedTuple

from triton_operator.api.conditions import Reason
from triton_operator.api.text import escape
from triton_operator.encryption.errors import DecryptionError, KeysetError, VaultDeniedError
from triton_operator.encryption.keyset import Keyset, new_keyset, read_keyset
from triton_operator.encryption.vault import VaultClient
from triton_operator.encryption.wrapped_keyset import WRAPPED_FILE, WrappedKeyset, read_wrapped


class VaultKey(NamedTuple):
    """The key `name` of the transit engine at `path`, and the token that authorizes its use."""

    vault: VaultClient
    path: str
    name: str
    token: str

    def create_keyset(self) -> tuple[Keyset, WrappedKeyset]:
        """Create a keyset for one model; raises VaultError."""
        content = new_keyset()
        ciphertext = self.vault.wrap(self.path, self.name, self.token, content)
        return read_keyset(content, "the new keyset"), WrappedKeyset(ciphertext, self.name)

    def open_keyset(self, folder: Path) -> Keyset:
        """Unwrap the keyset of the encrypted model in `folder`; raises DecryptionError and VaultError."""
        wrapped = read_wrapped(folder)
        if wrapped.key != self.name:
            raise _failed(
                f'the keyset in {WRAPPED_FILE} was wrapped with the key "{escape(wrapped.key[:100])}", not with '
                f'"{self.name}"'
            )
        try:
            content = self.vault.unwrap(self.path, self.name, self.token, wrapped.ciphertext)
        except VaultDeniedError as error:
            if _is_wrong_ciphertext(error):
                raise _failed(
                    f'{WRAPPED_FILE} was changed, or wrapped with another key or a version of "{self.name}" that is no '
                    f"longer available: {error}"
                ) from error
            raise
        try:
            return read_keyset(content, f"the content of {WRAPPED_FILE}")
        except KeysetError as error:
            raise _failed(str(error)) from None


def _is_wrong_ciphertext(error: VaultDeniedError) -> bool:
    """Whether the vault has the key, but rejects the ciphertext; both are bad requests (OpenBao's transit engine)."""
    return error.status == http.client.BAD_REQUEST and "key not found" not in error.answer


def _failed(message: str) -> DecryptionError:
    return DecryptionError(Reason.DECRYPTION_FAILED, message)
