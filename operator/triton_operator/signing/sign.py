"""Sign the folder of a model with a private key, in the format of OpenSSF model signing.

Input: the folder and a PEM file with an elliptic curve key. Output: SIGNATURE_FILE in the folder, which replaces an
earlier signature only when the new one is complete. `tritonctl sign` calls it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from triton_operator.signing.errors import SigningError, VerificationError
from triton_operator.signing.signed_files import covered_files
from triton_operator.triton.model_file.folder import SIGNATURE_FILE


def sign_model(folder: Path, private_key: Path, password: str | None = None) -> list[str]:
    """Sign the folder and return the files that the signature covers; raises SigningError."""
    names = _signable_files(folder)
    config = _configure(private_key, password)
    _replace(folder / SIGNATURE_FILE, _sign(config, folder))
    return names


def _signable_files(folder: Path) -> list[str]:
    try:
        names = covered_files(folder)
    except VerificationError as error:
        raise SigningError(f"{folder}: {error}") from error
    except OSError as error:
        raise SigningError(f"{folder}: {error.strerror}") from error
    if not names:
        raise SigningError(f"{folder} contains no files to sign")
    return names


def _configure(private_key: Path, password: str | None) -> Any:
    """The library's configuration, which reads the key."""
    from model_signing import hashing, signing  # The import takes half a second.

    files: Any = hashing.Config()  # type: ignore[no-untyped-call]  # The package has no types for it.
    config: Any = signing.Config()  # type: ignore[no-untyped-call]  # The same.
    config.set_hashing_config(files.set_ignored_paths(paths=[SIGNATURE_FILE], ignore_git_paths=False))
    try:
        return config.use_elliptic_key_signer(private_key=private_key, password=password.encode() if password else None)
    except Exception as error:
        raise SigningError(
            f"{private_key} is not a usable private key (P-256, P-384 or P-521, in PEM form): {error}"
        ) from error


def _sign(config: Any, folder: Path) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        signature = Path(temporary) / SIGNATURE_FILE
        try:
            config.sign(folder, signature)
            return signature.read_bytes()
        except (OSError, ValueError) as error:
            raise SigningError(f"{folder} cannot be signed: {error}") from error


def _replace(file: Path, content: bytes) -> None:
    """Write next to the final place and rename, so that an interrupted run leaves the old signature."""
    temporary = file.with_name(f".{file.name}-new")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError as error:
        raise SigningError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
