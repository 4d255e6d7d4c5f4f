"""The keys with which `tritonctl run` decrypts models: the Secret of `spec.decryption` does not exist on this machine.

Input: the options `--key` and `--vault`, and a spec. Output: a KeysetOf, None if no model is encrypted, or UsageError.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.cli.failures import UsageError
from triton_operator.cli.keyset import enter_keyset, open_keysets
from triton_operator.cli.vault_options import VaultOptions
from triton_operator.encryption.header import HEADER_FILE

if TYPE_CHECKING:
    from triton_operator.api.spec import Spec
    from triton_operator.encryption.keyset import KeysetOf


class KeyOption(NamedTuple):
    """The options: `file` is that of `--key`, None without it; `path` is the command's argument, for messages."""

    file: Path | None
    vault: VaultOptions
    path: Path

    def check(self, spec: Spec) -> None:
        """Raise UsageError if the options are missing, contradict each other, or are given without encrypted models."""
        if self.file or self.vault.address:
            self.vault.require_one_source(self.file)
        else:
            self.vault.check()
        if spec.decryption is None and (self.file or self.vault.address):
            option = "--key" if self.file else "--vault"
            raise UsageError(
                f"{option} can only be used with encrypted models, and {self.path} has neither spec.decryption nor a "
                f"model with {HEADER_FILE}"
            )
        if spec.decryption and not (self.file or self.vault.address) and not _is_interactive():
            raise UsageError(
                f"{self.path}: the models are encrypted; specify the file with their keys with --key FILE, or the "
                "vault with --vault ADDRESS and --vault-key NAME"
            )

    def read(self, spec: Spec) -> KeysetOf | None:
        """Read the keys, from the terminal without the options; None if the spec has no encrypted models."""
        if spec.decryption is None:
            return None
        if self.file or self.vault.address:
            return open_keysets(self.file, self.vault)
        keyset = enter_keyset()
        return lambda _: keyset


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
