"""The options of `encrypt`, `decrypt` and `run` for a vault that wraps the keys of models.

Input: options, and a token from VAULT_TOKEN or a file, never from an argument, which other users of the machine can
see. Output: a VaultKey, or UsageError.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from triton_operator.cli.failures import UsageError

if TYPE_CHECKING:
    from triton_operator.encryption.vault_key import VaultKey

TOKEN_VARIABLE = "VAULT_TOKEN"  # noqa: S105 -- the name of a variable, not a token
_MAX_BYTES = 1 << 20

Address = Annotated[
    str,
    typer.Option(
        "--vault",
        metavar="ADDRESS",
        help="URL (https://HOST[:PORT]) of the OpenBao or HashiCorp Vault server that wraps the keys; "
        "use it instead of --key.",
    ),
]
KeyName = Annotated[
    str, typer.Option("--vault-key", metavar="NAME", help="Name of the key in the vault's transit engine.")
]
TransitPath = Annotated[
    str, typer.Option("--vault-path", metavar="PATH", help="Path at which the transit engine is mounted.")
]
CAFile = Annotated[
    Path | None,
    typer.Option(
        "--vault-ca-file",
        metavar="FILE",
        help="PEM file with the CA certificates to trust for the vault; by default, those of the system.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--vault-token-file",
        metavar="FILE",
        help=f"File with the vault's token; by default, the variable {TOKEN_VARIABLE}.",
    ),
]


class VaultOptions(NamedTuple):
    """The values of the options."""

    address: str = ""
    key: str = ""
    path: str = "transit"
    ca_file: Path | None = None
    token_file: Path | None = None

    def require_one_source(self, file: Path | None) -> None:
        """Raise UsageError unless exactly one of `--key` (`file`) and `--vault` is given."""
        if file and self.address:
            raise UsageError("--key and --vault cannot be combined")
        if not file and not self.address:
            raise UsageError("use --key FILE, or --vault ADDRESS and --vault-key NAME")
        self.check()

    def check(self) -> None:
        """Raise UsageError for options that need another one."""
        if self.address and not self.key:
            raise UsageError("--vault requires --vault-key NAME")
        others = {"--vault-key": self.key, "--vault-ca-file": self.ca_file, "--vault-token-file": self.token_file}
        if useless := [name for name, value in others.items() if value and not self.address]:
            raise UsageError(f"{useless[0]} requires --vault ADDRESS")

    def open(self) -> VaultKey:
        """The key of the vault, to which nothing is sent yet; raises UsageError."""
        from triton_operator.api.url import without_secrets
        from triton_operator.encryption.vault import VaultClient
        from triton_operator.encryption.vault_key import VaultKey

        authorities = _read(self.ca_file, "--vault-ca-file") if self.ca_file else None
        try:
            vault = VaultClient(self.address, authorities)
        except OSError as error:  # ssl.SSLError
            raise UsageError(f"--vault-ca-file: {self.ca_file} has no certificate in PEM form") from error
        except ValueError as error:
            raise UsageError(f"--vault: {without_secrets(self.address)} {error}") from error
        return VaultKey(vault, self.path, self.key, self._token())

    def _token(self) -> str:
        from triton_operator.encryption.vault import is_token

        if self.token_file:
            content = _read(self.token_file, "--vault-token-file")
            token, source = content.decode("ascii", errors="replace"), f"--vault-token-file: {self.token_file}"
        else:
            token, source = os.environ.get(TOKEN_VARIABLE, ""), f"the variable {TOKEN_VARIABLE}"
        token = token.strip()
        if not token:
            raise UsageError(f"{source} has no token; set {TOKEN_VARIABLE}, or use --vault-token-file FILE")
        if not is_token(token):
            raise UsageError(f"{source} has characters that a token cannot have")
        return token


def _read(file: Path, option: str) -> bytes:
    from triton_operator.files import FileTooLargeError, read_file

    try:
        return read_file(file, _MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{option}: {file} cannot be read: {error.strerror}") from error
    except FileTooLargeError as error:
        raise UsageError(f"{option}: {file} {error}") from error
