"""What is said when a server's certificate is not trusted, and the certificates that a user adds."""

from __future__ import annotations

import ssl
from pathlib import Path

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError


def read_ca_bundle(path: str) -> str:
    """PEM certificates of a mounted file; raises PrepareError when the file holds none, or one that cannot be read."""
    text = Path(path).read_text(encoding="ascii", errors="replace").replace("\ufffd", "?")  # Comments may say anything.
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
    """The certificate is signed by nobody we know, is for another name, or is out of date."""
    message = (
        f"{shown}: the server's certificate is not trusted ({why}); "
        "if a private authority signed it, name its certificate in caBundleConfigMapRef"
    )
    return PrepareError(Reason.SOURCE_UNTRUSTED, "", message)
