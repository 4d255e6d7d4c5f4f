"""Verify that a model's folder contains exactly what one of the named keys signed.

Input: the folder, the name under which it was signed, and the keys. Output: the name of the key. Every difference
raises VerificationError with its own reason. The checks that need no key come first, because their messages say more;
the cryptography is that of OpenSSF model signing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from triton_operator.api.conditions import Reason
from triton_operator.api.text import escape
from triton_operator.files import FileTooLargeError, read_regular
from triton_operator.signing.errors import VerificationError
from triton_operator.signing.keys import VerificationKey
from triton_operator.signing.signed_files import covered_files, find_changed_file, require_same_names
from triton_operator.signing.statement import MAX_BYTES, Statement, read_statement
from triton_operator.triton.model_file.folder import SIGNATURE_FILE

_FINGERPRINT_SHOWN = 12


def verify_model(folder: Path, name: str, keys: Sequence[VerificationKey]) -> str:
    """Return the name of the key that signed the folder `folder`, which was signed under the name `name`.

    Raises VerificationError.
    """
    statement = read_statement(_read_signature(folder))
    candidates = _find_keys(statement, keys)
    if statement.model != name:
        raise VerificationError(
            Reason.SIGNATURE_OF_OTHER_MODEL,
            f'{SIGNATURE_FILE} is the signature of "{escape(statement.model[:100])}", not of "{name}"',
        )
    require_same_names(covered_files(folder), statement)
    return _verify_content(folder, statement, candidates)


def has_signature(folder: Path) -> bool:
    """Whether the folder contains a signature, valid or not."""
    return (folder / SIGNATURE_FILE).exists()


def _read_signature(folder: Path) -> bytes:
    path = folder / SIGNATURE_FILE
    if path.is_symlink():
        raise VerificationError(Reason.SIGNED_LINK_FOUND, f"{SIGNATURE_FILE} is a link; replace it with the file")
    try:
        return read_regular(path, MAX_BYTES)
    except FileNotFoundError:
        raise VerificationError(
            Reason.MODEL_UNSIGNED,
            f"the folder has no {SIGNATURE_FILE}, but spec.verification requires a signature; run tritonctl sign",
        ) from None
    except OSError as error:
        raise VerificationError(
            Reason.SIGNATURE_INVALID, f"{SIGNATURE_FILE} cannot be read: {error.strerror}"
        ) from error
    except FileTooLargeError:
        raise VerificationError(
            Reason.SIGNATURE_INVALID, f"{SIGNATURE_FILE} has more than {MAX_BYTES >> 20} MiB, so it is not a signature"
        ) from None


def _find_keys(statement: Statement, keys: Sequence[VerificationKey]) -> list[VerificationKey]:
    """The key that the signature names; any of the certificates may belong to one without a hint."""
    if found := [key for key in keys if key.fingerprint == statement.key_hint]:
        return found
    known = ", ".join(f"{key.name} ({_short(key.fingerprint)})" for key in keys)
    signer = f"the key {_short(statement.key_hint)}" if statement.key_hint else "a certificate"
    raise VerificationError(
        Reason.SIGNER_UNKNOWN,
        f"the model was signed with {signer}, which is not one of spec.verification.keys: {known}; add the key, or "
        "sign the model with one of them",
    )


def _short(fingerprint: str) -> str:
    return escape(fingerprint[:_FINGERPRINT_SHOWN]) or "certificate"


def _verify_content(folder: Path, statement: Statement, candidates: Sequence[VerificationKey]) -> str:
    """Let the library check the signature and the digests; find out what differs only if it rejects them."""
    for key in candidates:
        if _is_signed_by(folder, key):
            return key.name
    if changed := find_changed_file(folder, statement):
        raise VerificationError(
            Reason.SIGNED_FILE_CHANGED,
            f"{escape(changed)} is not the file that was signed; restore it, or sign the model again",
        )
    names = ", ".join(key.name for key in candidates)
    raise VerificationError(
        Reason.SIGNATURE_INVALID, f"{SIGNATURE_FILE} is not a valid signature of {names}; sign the model again"
    )


def _is_signed_by(folder: Path, key: VerificationKey) -> bool:
    from model_signing.verifying import Config  # The import takes half a second; only signed models need it.

    config: Any = Config()  # type: ignore[no-untyped-call]  # The package has no types for it.
    if key.is_certificate:
        config.use_certificate_verifier(certificate_chain=[key.file])
    else:
        config.use_elliptic_key_verifier(public_key=key.file)
    try:
        config.verify(folder, folder / SIGNATURE_FILE)
    except Exception:  # noqa: BLE001 -- several libraries raise errors of their own; every one is a refusal
        return False
    return True
