"""The files of a model that a signature must cover, compared with those that it covers.

Input: a model's folder and a Statement. Output: nothing, or a VerificationError that names the first differing file. A
signature covers all files in the folder except itself. Links are rejected, because their target may change after the
check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.api.text import escape
from triton_operator.signing.errors import VerificationError
from triton_operator.signing.statement import Statement
from triton_operator.triton.model_file.folder import SIGNATURE_FILE, is_file, walk


def covered_files(folder: Path) -> list[str]:
    """Paths of the files that a signature of this folder covers; raises VerificationError for a link."""
    found = [(path, entry) for path, entry in walk(folder) if path != SIGNATURE_FILE]
    for path, entry in found:
        if not is_file(entry):
            raise _linked(path, is_link=entry.is_symlink())
    return sorted(path for path, _ in found)


def require_same_names(found: Iterable[str], statement: Statement) -> None:
    """Raise VerificationError unless the signature covers exactly these files."""
    present = set(found)
    if added := sorted(present - statement.files.keys()):
        raise VerificationError(
            Reason.SIGNED_FILES_ADDED,
            f"{_shown(added)} not covered by the signature; remove {_it(added)}, or sign the model again",
        )
    if missing := sorted(statement.files.keys() - present):
        raise VerificationError(
            Reason.SIGNED_FILES_MISSING,
            f"{_shown(missing)} in the signature, but not in the model's folder; restore {_it(missing)}",
        )


def find_changed_file(folder: Path, statement: Statement) -> str:
    """Path of the first file whose digest differs from the signed one; "" if none differs.

    Only digests of whole files with SHA-256 are compared.
    """
    for name, digest in sorted(statement.files.items()):
        algorithm, _, expected = digest.partition(":")
        if algorithm == "sha256" and (folder / name).is_file() and _sha256(folder / name) != expected:
            return name
    return ""


def _linked(path: str, *, is_link: bool) -> VerificationError:
    kind = "a link" if is_link else "neither a file nor a folder"
    return VerificationError(
        Reason.SIGNED_LINK_FOUND, f"{escape(path)} is {kind}, which a signature cannot cover; replace it with the file"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(names: list[str]) -> str:
    shown = ", ".join(escape(name) for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 -- as many as a line can hold
    return f"{shown}{more} {'is' if len(names) == 1 else 'are'}"


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
