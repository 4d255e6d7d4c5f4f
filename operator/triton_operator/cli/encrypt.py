"""`tritonctl encrypt`: encrypt models, so that only pods with the key can read them.

Input: model folders or a model repository, and a file with keys or a vault. Output: the same folders, encrypted, in
another repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triton_operator.cli import vault_options
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.keyset import open_keyset
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cli.vault_options import VaultOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from triton_operator.encryption.keyset import Keyset
    from triton_operator.encryption.wrapped_keyset import WrappedKeyset

EPILOG = """\b
Examples:
  tritonctl encrypt models/digits --key keyset.json --create-key --to encrypted
  tritonctl encrypt models --key keyset.json --to encrypted
  tritonctl encrypt models --vault https://vault.example.com:8200 --vault-key models --to encrypted
\b
Put the key into a Secret (kubectl create secret generic model-keys --from-file keyset.json) and set the Secret in
spec.decryption. The key is a Tink keyset (AES256_GCM_HKDF_1MB). With --vault, each model has a new key, which the vault
wraps and tritonctl stores next to the encrypted files. Sign an encrypted model, not its plaintext.
"""


def encrypt(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Model folders or model repositories.")],
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Repository to write the encrypted models to.")],
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="File with the keys.")] = None,
    create_key: Annotated[bool, typer.Option("--create-key", help="Create the file with a new key.")] = False,
    vault: vault_options.Address = "",
    vault_key: vault_options.KeyName = "",
    vault_path: vault_options.TransitPath = "transit",
    vault_ca_file: vault_options.CAFile = None,
    vault_token_file: vault_options.TokenFile = None,
) -> None:
    """Encrypt models. The originals are not changed.

    The exit status is 1 if a model cannot be encrypted, and 2 if a path, an option or the key is invalid.
    """
    from triton_operator.api.quantity import MI
    from triton_operator.cli.model_folders import model_folders
    from triton_operator.encryption.encrypt import encrypt_model
    from triton_operator.encryption.errors import EncryptionError, VaultError

    models = model_folders(paths)
    options = VaultOptions(vault, vault_key, vault_path, vault_ca_file, vault_token_file)
    options.require_one_source(key)
    try:
        next_keyset = _keysets(key, options, create_key=create_key)
        for model in models:
            with spinner(f"encrypting {model}"):
                header = encrypt_model(model, folder / model.resolve().name, *next_keyset())
            say(f"{folder / header.model}: {len(header.files)} files, {header.size / MI:,.1f} MiB when decrypted")
    except (EncryptionError, VaultError) as error:
        raise CommandFailedError(str(error)) from error


def _keysets(
    file: Path | None, options: VaultOptions, *, create_key: bool
) -> Callable[[], tuple[Keyset, WrappedKeyset | None]]:
    """Return a function that returns the next model's keyset: that of the file, or a new one that the vault wraps."""
    if file is None:
        if create_key:
            raise UsageError("--create-key requires --key FILE; with --vault, each model has a new key")
        return options.open().create_keyset
    from triton_operator.encryption.keyset import create_keyset

    if create_key:
        create_keyset(file)
    keyset = open_keyset(file)
    return lambda: (keyset, None)
