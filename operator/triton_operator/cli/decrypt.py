"""`tritonctl decrypt`: decrypt models that `tritonctl encrypt` has encrypted.

Input: folders of encrypted models or a repository of them, and a file with keys or a vault. Output: the models in
another repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli import vault_options
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.keyset import open_keysets
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner
from triton_operator.cli.vault_options import VaultOptions

EPILOG = """\b
Examples:
  tritonctl decrypt encrypted/digits --key keyset.json --to models
  tritonctl decrypt encrypted --vault https://vault.example.com:8200 --vault-key models --to models
\b
Files that were changed, swapped, renamed or truncated are rejected, and nothing is written.
"""


def decrypt(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Encrypted model folders or repositories.")],
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Repository to write the models to.")],
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="File with the keys.")] = None,
    vault: vault_options.Address = "",
    vault_key: vault_options.KeyName = "",
    vault_path: vault_options.TransitPath = "transit",
    vault_ca_file: vault_options.CAFile = None,
    vault_token_file: vault_options.TokenFile = None,
) -> None:
    """Decrypt models.

    The exit status is 1 if a model cannot be decrypted, and 2 if a path, an option or the key is invalid.
    """
    from triton_operator.encryption.decrypt import decrypt_model
    from triton_operator.encryption.errors import DecryptionError, VaultError

    models = [model for path in paths for model in _encrypted(path)]
    options = VaultOptions(vault, vault_key, vault_path, vault_ca_file, vault_token_file)
    options.require_one_source(key)
    keyset_of = open_keysets(key, options)
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        name = model.resolve().name
        if (folder / name).exists():
            raise CommandFailedError(f"{folder / name} already exists; remove it or choose another folder")
        try:
            with spinner(f"decrypting {model}"):
                header = decrypt_model(model, name, folder / name, keyset_of(model))
        except (DecryptionError, VaultError) as error:
            raise CommandFailedError(f"{model}: {error}") from error
        say(f"{folder / name}: {len(header.files)} files")


def _encrypted(path: Path) -> list[Path]:
    from triton_operator.encryption.header import is_encrypted

    try:
        found = [path] if is_encrypted(path) else [each for each in sorted(path.iterdir()) if is_encrypted(each)]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not found:
        raise UsageError(f"{path}: contains no encrypted model")
    return found
