"""The data of the Secret with the authorities: `<id>.crt` and `<id>.key` of each, base64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from triton_operator.certificates.serving_data import (
    CERTIFICATE_SUFFIX,
    KEY_SUFFIX,
    decode_data,
    encode_pair,
    without_pair,
)

if TYPE_CHECKING:
    from triton_operator.certificates.rotation import Authorities


def read_authority_data(data: Mapping[str, str], _known: object = None) -> Authorities | str:
    """The stored authorities, or why they cannot be used."""
    # 9 MB, needed only for deployments with TLS
    from triton_operator.certificates.authority import InvalidAuthorityError, read_authority
    from triton_operator.certificates.rotation import sort_authorities

    try:
        files = dict(decode_data(data))
        found = [
            read_authority(content, files.get(f"{key.removesuffix(CERTIFICATE_SUFFIX)}{KEY_SUFFIX}", b""))
            for key, content in files.items()
            if key.endswith(CERTIFICATE_SUFFIX)
        ]
    except (InvalidAuthorityError, ValueError) as error:
        return str(error)
    return sort_authorities(found) if found else "it contains no certificate"


def encode_authorities(authorities: Authorities) -> dict[str, str]:
    """The data to store."""
    return {
        key: value
        for authority in authorities.all
        for key, value in encode_pair(authority.id, authority.certificate_pem, authority.key_pem).items()
    }


def replace_authorities(stored: Authorities | str, desired: Authorities) -> dict[str, str | None]:
    """A merge patch of the data that stores the desired authorities and removes the others."""
    obsolete = stored.all if not isinstance(stored, str) else ()
    removed = {key: None for authority in obsolete for key in without_pair(authority.id)}
    return {**removed, **encode_authorities(desired)}
