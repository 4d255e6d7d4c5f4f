"""The content of a signature file: which model was signed, with which key, and the digest of each file.

Input: the bytes of a Sigstore bundle (media type application/vnd.dev.sigstore.bundle.v0.3+json) with an in-toto
statement, as OpenSSF model signing 1.x writes it. Output: a Statement. Reading verifies nothing: until the signature is
verified, a Statement is only what the file says about itself.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import PurePosixPath

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.api.struct import Struct
from triton_operator.signing.errors import VerificationError
from triton_operator.triton.model_file.folder import SIGNATURE_FILE

MAX_BYTES = 8 << 20
"""Maximum size of a signature file: a model has at most 20,000 files, each with a line of 100 to 300 bytes."""

PREDICATE = "https://model_signing/signature/v1.0"


class Statement(Struct, frozen=True):
    """`model` is the name of the signed folder, `files` maps paths in it to digests, for example `sha256:…`.

    A file that was signed in pieces has several digests, joined by spaces. `key_hint` is the fingerprint of the key,
    "" if a certificate signed.
    """

    model: str
    files: dict[str, str]
    key_hint: str = ""


class _KeyHint(msgspec.Struct):
    hint: str = ""


class _Material(msgspec.Struct, rename="camel"):
    public_key: _KeyHint | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str


class _Bundle(msgspec.Struct, rename="camel"):
    dsse_envelope: _Envelope
    verification_material: _Material = msgspec.field(default_factory=_Material)


class _SignedModel(msgspec.Struct):
    name: str = ""


class _SignedFile(msgspec.Struct):
    name: str
    algorithm: str
    digest: str


class _Serialization(msgspec.Struct):
    method: str


class _Predicate(msgspec.Struct):
    serialization: _Serialization
    resources: list[_SignedFile]


class _StatementPayload(msgspec.Struct, rename="camel"):
    subject: list[_SignedModel]
    predicate_type: str
    predicate: _Predicate


def read_statement(signature: bytes) -> Statement:
    """Read a signature file; raises VerificationError if it is not one."""
    try:
        bundle = msgspec.json.decode(signature, type=_Bundle)
        payload = msgspec.json.decode(
            base64.b64decode(bundle.dsse_envelope.payload, validate=True), type=_StatementPayload
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError) as error:
        raise _malformed(f"it is not a signature of OpenSSF model signing: {error}") from error
    if payload.predicate_type != PREDICATE:
        raise _malformed(f"expected the statement type {PREDICATE}, got {payload.predicate_type[:100]!r}")
    if len(payload.subject) != 1:
        raise _malformed(f"expected one signed model, got {len(payload.subject)}")
    key = bundle.verification_material.public_key
    return Statement(payload.subject[0].name, _files(payload.predicate), key.hint if key else "")


def _files(predicate: _Predicate) -> dict[str, str]:
    found: dict[str, str] = {}
    for resource in predicate.resources:
        path, digest = resource.name, f"{resource.algorithm}:{resource.digest}"
        if predicate.serialization.method == "shards":  # `path:start:end`; the library checks that pieces are complete.
            path, _, piece = path.partition(":")
            digest = f"{found.get(path, '')} {piece}={digest}".strip()
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise _malformed(f"it covers {path[:100]!r}, which is not in the model's folder")
        found[path] = digest
    return found


def _malformed(message: str) -> VerificationError:
    return VerificationError(Reason.SIGNATURE_INVALID, f"{SIGNATURE_FILE}: {message}; sign the model again")
