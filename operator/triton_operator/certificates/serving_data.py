"""The data of the Secret with the serving certificates of a namespace: `<name>.crt` and `<name>.key`, base64."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from triton_operator.certificates.facts import CertificateFacts

CERTIFICATE_SUFFIX = ".crt"
KEY_SUFFIX = ".key"

_BASE64 = 4 / 3


class ServingData(NamedTuple):
    """The facts about each pair, by the name of the deployment, and the approximate size of all data in bytes."""

    pairs: Mapping[str, CertificateFacts]
    size: int


def read_serving_data(data: Mapping[str, str], known: ServingData | None) -> ServingData:
    """Read the pairs; those that have not changed since `known` are taken from it."""
    names = {
        key.removesuffix(suffix) for key in data for suffix in (CERTIFICATE_SUFFIX, KEY_SUFFIX) if key.endswith(suffix)
    }
    pairs = {name: _read(data, name, known.pairs.get(name) if known else None) for name in names}
    return ServingData(pairs, sum(len(key) + int(len(value) / _BASE64) for key, value in data.items()))


def encode_pair(name: str, certificate: bytes, key: bytes) -> dict[str, str]:
    """The data of one deployment."""
    return {
        f"{name}{CERTIFICATE_SUFFIX}": b64encode(certificate).decode(),
        f"{name}{KEY_SUFFIX}": b64encode(key).decode(),
    }


def without_pair(name: str) -> dict[str, None]:
    """A merge patch of the data that removes one deployment."""
    return {f"{name}{CERTIFICATE_SUFFIX}": None, f"{name}{KEY_SUFFIX}": None}


def decode_data(data: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Keys and decoded values; raises ValueError."""
    for key, value in data.items():
        yield key, b64decode(value, validate=True)


def _read(data: Mapping[str, str], name: str, known: CertificateFacts | None) -> CertificateFacts:
    certificate, key = data.get(f"{name}{CERTIFICATE_SUFFIX}", ""), data.get(f"{name}{KEY_SUFFIX}", "")
    digest = hashlib.sha256(f"{certificate}\n{key}".encode()).hexdigest()
    if known and known.digest == digest:
        return known
    from triton_operator.certificates.read import read_pair  # 9 MB, needed only for deployments with TLS

    try:
        return read_pair(b64decode(certificate), b64decode(key), digest)
    except binascii.Error as error:
        return CertificateFacts(digest=digest, problem=f"it cannot be read: {error}")
