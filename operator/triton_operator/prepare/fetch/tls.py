"""Additional CA certificates of the user, and the error for an untrusted server certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError


def read_ca_bundle(path: str) -> str:
    """PEM certificates in a mounted file; raises PrepareError if the file has none, or an invalid one."""
    text = (
        Path(path).read_text(encoding="ascii", errors="replace").replace("\ufffd", "?")
    )  # Comments may contain any text.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise PrepareError(
            Reason.SOURCE_UNTRUSTED,
            "",
            f"the key of caBundleConfigMapRef has no certificate in PEM format ({getattr(error, 'reason', error)})",
        ) from error
    return text


def untrusted(shown: str, why: str) -> PrepareError:
    """The error for a certificate with an unknown issuer, another name or an invalid date."""
    message = (
        f"{shown}: the server's certificate is not trusted ({why}); "
        "if a private authority issued it, set caBundleConfigMapRef to a ConfigMap with the authority's certificate"
    )
    return PrepareError(Reason.SOURCE_UNTRUSTED, "", message)
