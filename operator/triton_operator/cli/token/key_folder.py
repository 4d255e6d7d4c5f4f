"""The user's folder with the private keys of callers, and the IDs of the tokens that were issued.

Input: a caller. Output: its key, and records of its tokens. The tokens themselves are not kept. Only the user can read
the files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.token.signing import CallerIdentity, IssuedToken, new_key
from triton_operator.files import PRIVATE, create_file


class KeyFolder:
    """The keys below one folder: `NAMESPACE/DEPLOYMENT/CLIENT.key`, and `.json` with the records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self, caller: CallerIdentity) -> tuple[Path, str]:
        """Return the file and the private key of a caller, which is created if it does not exist."""
        file = self._file(caller, ".key")
        try:
            if not file.exists():
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                create_file(file, new_key().encode())
            if file.stat().st_mode & 0o077:
                raise CommandFailedError(f"{file}: other users can read this private key; run chmod 600 {file}")
            return file, file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailedError(f"{file}: {getattr(error, 'strerror', None) or error}") from error

    def record(self, caller: CallerIdentity, issued: IssuedToken) -> None:
        """Add a token to the records of its caller."""
        write_private(self._file(caller, ".json"), msgspec.json.encode([*self.records(caller), issued]).decode() + "\n")

    def records(self, caller: CallerIdentity) -> list[IssuedToken]:
        """Return the records of a caller's tokens, oldest first; none if there is no file."""
        file = self._file(caller, ".json")
        try:
            return msgspec.json.decode(file.read_bytes(), type=list[IssuedToken])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise CommandFailedError(f"{file} cannot be read: {error}") from error

    def callers(self, namespace: str, deployment: str) -> list[CallerIdentity]:
        """Return the callers of a deployment that have a key here."""
        found = sorted((self._folder / namespace / deployment).glob("*.key"))
        return [CallerIdentity(namespace, deployment, file.stem) for file in found]

    def _file(self, caller: CallerIdentity, suffix: str) -> Path:
        return self._folder / caller.namespace / caller.deployment / f"{caller.name}{suffix}"


def default_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Return the folder for the keys of this user."""
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "triton-operator" / "tokens"


def write_private(file: Path, content: str) -> None:
    """Write a file that only the user can read, also if it exists with other permissions."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with os.fdopen(descriptor, "w") as opened:
            os.fchmod(opened.fileno(), PRIVATE)
            opened.write(content)
    except OSError as error:
        raise CommandFailedError(f"{file}: {error.strerror or error}") from error
