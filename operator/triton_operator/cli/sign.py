"""`tritonctl sign`: sign models with a private key, so that serving pods can verify who released them.

Input: model folders or a model repository, and a private key. Output: a file `model.sig` in each model's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.terminal.output import say

EPILOG = """\b
Examples:
  tritonctl sign model_repository/digits --key release.key --create-key
  tritonctl sign model_repository --key release.key
  tritonctl sign models --key release.key --password-file release.password
\b
Sign after the last change: a signature covers all files of the model's folder, including config.pbtxt. Put the public
key, which --create-key writes to FILE.pub, into spec.verification.keys. Any P-256, P-384 or P-521 key in PEM form can
sign. The signature has the format of OpenSSF model signing.
"""


def sign(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR", help="Model folders or model repositories.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Private key in PEM form.")],
    create_key: Annotated[
        bool, typer.Option("--create-key", help="Create the key, and FILE.pub with its public key.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="File with the password of the key.")
    ] = None,
) -> None:
    """Sign models. An existing signature is replaced.

    The exit status is 1 if a model cannot be signed, and 2 if a path or the key is invalid.
    """
    from triton_operator.cli.model_folders import model_folders
    from triton_operator.signing.errors import SigningError
    from triton_operator.signing.sign import sign_model
    from triton_operator.signing.signing_keys import create

    models = model_folders(paths)
    password = _read_password(password_file)
    try:
        if create_key:
            say(f"{create(key, password)}: public key, for spec.verification.keys")
        for model in models:
            say(f"{model}: signed {len(sign_model(model, key, password))} files")
    except SigningError as error:
        raise CommandFailedError(str(error)) from error


def _read_password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file: {file} cannot be read: {getattr(error, 'strerror', error)}") from error
