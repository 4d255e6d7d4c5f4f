"""`tritonctl decrypt`: decrypt models that `tritonctl encrypt` has encrypted.

Input: folders of encrypted models or a repository of them, and a file with keys. Output: the models in another place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.keyset import open_keyset
from triton_operator.cli.terminal.output import say
from triton_operator.cli.terminal.spinner import spinner

EPILOG = """\b
Examples:
  tritonctl decrypt encrypted/digits --key keyset.json --to models
\b
Files that were changed, swapped, renamed or truncated are refused, and nothing is written.
"""


def decrypt(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Encrypted model folders or repositories.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="File with the keys.")],
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Repository to write the models to.")],
) -> None:
    """Decrypt models.

    The exit status is 1 if a model cannot be decrypted, and 2 if a path or the key is invalid.
    """
    from triton_operator.encryption.decrypt import decrypt_model
    from triton_operator.encryption.errors import DecryptionError

    models = [model for path in paths for model in _encrypted(path)]
    keyset = open_keyset(key)
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        name = model.resolve().name
        if (folder / name).exists():
            raise CommandFailedError(f"{folder / name} already exists; remove it or choose another folder")
        try:
            with spinner(f"decrypting {model}"):
                header = decrypt_model(model, name, folder / name, keyset)
        except DecryptionError as error:
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
