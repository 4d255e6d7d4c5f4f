"""The keys with which `tritonctl run` decrypts models: the Secret of `spec.decryption` does not exist on this machine.

Input: the option `--key` and a spec. Output: a Keyset, None if no model is encrypted, or UsageError.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triton_operator.cli.failures import UsageError
from triton_operator.cli.keyset import enter_keyset, open_keyset
from triton_operator.encryption.header import HEADER_FILE

if TYPE_CHECKING:
    from triton_operator.api.spec import Spec
    from triton_operator.encryption.keyset import Keyset


class KeyOption(NamedTuple):
    """The option `--key`: `file` is None without it; `path` is the argument of the command, for messages."""

    file: Path | None
    path: Path

    def check(self, spec: Spec) -> None:
        """Raise UsageError if the option is missing, or given without encrypted models."""
        if self.file and spec.decryption is None:
            raise UsageError(
                f"--key can only be used with encrypted models, and {self.path} has neither spec.decryption nor a "
                f"model with {HEADER_FILE}"
            )
        if spec.decryption and not self.file and not _is_interactive():
            raise UsageError(f"{self.path}: the models are encrypted; specify the file with their keys with --key FILE")

    def read(self, spec: Spec) -> Keyset | None:
        """Read the keys, from the terminal without the option; None if the spec has no encrypted models."""
        if spec.decryption is None:
            return None
        return open_keyset(self.file) if self.file else enter_keyset()


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
