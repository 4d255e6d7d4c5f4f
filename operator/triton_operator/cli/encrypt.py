"""`tritonctl encrypt`: encrypt models, so that only pods with the key can read them.

Input: model folders or a model repository, and a file with keys. Output: the same folders, encrypted, in another place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.keyset import open_keyset
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner

EPILOG = """\b
Examples:
  tritonctl encrypt models/digits --key keyset.json --create-key --to encrypted
  tritonctl encrypt models --key keyset.json --to encrypted
\b
Put the key into a Secret (kubectl create secret generic model-keys --from-file keyset.json) and name the Secret in
spec.decryption. The key is a Tink keyset (AES256_GCM_HKDF_1MB). Sign an encrypted model, not its plaintext.
"""


def encrypt(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Model folders or model repositories.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="File with the keys.")],
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Repository to write the encrypted models to.")],
    create_key: Annotated[bool, typer.Option("--create-key", help="Create the file with a new key.")] = False,
) -> None:
    """Encrypt models. The originals are not changed.

    The exit status is 1 if a model cannot be encrypted, and 2 if a path or the key is invalid.
    """
    from triton_operator.api.quantity import MI
    from triton_operator.cli.model_folders import model_folders
    from triton_operator.encryption.encrypt import encrypt_model
    from triton_operator.encryption.errors import EncryptionError
    from triton_operator.encryption.keyset import create_keyset

    models = model_folders(paths)
    try:
        if create_key:
            create_keyset(key)
        keyset = open_keyset(key)
        for model in models:
            with spinner(f"encrypting {model}"):
                header = encrypt_model(model, folder / model.resolve().name, keyset)
            say(f"{folder / header.model}: {len(header.files)} files, {header.size / MI:,.1f} MiB when decrypted")
    except EncryptionError as error:
        raise CommandFailedError(str(error)) from error
