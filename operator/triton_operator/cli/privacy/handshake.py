"""Read the certificate that a server presents, in a TLS handshake that verifies it.

Input: an address, and the deployment whose server it is. Output: an `Observed` with the certificate, or with the reason
why it is missing. No request is sent, so no token is needed.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from triton_operator.cli.privacy.observed import Observed, ServedCertificate
from triton_operator.cli.privacy.report import NotRead
from triton_operator.sdk.access import Target
from triton_operator.sdk.address import find_access, split_url
from triton_operator.sdk.errors import RejectedError, UnreachableError
from triton_operator.sdk.tls_errors import tls_failure

SECONDS = 10.0
"""Timeout of the connection and of the handshake."""


def add_served_certificate(observed: Observed, target: Target, url: str) -> Observed:
    """Add the certificate that the server presents, or why it is missing.

    Raises InvalidRequestError if the address or the file is invalid.
    """
    address = split_url(url)[1].partition("/")[0]
    found = _present(address, target)
    if isinstance(found, ServedCertificate):
        return replace(observed, served=found)
    return replace(
        observed, not_read=(*observed.not_read, NotRead(f"the certificate of the server at {address}", found))
    )


def _present(address: str, target: Target) -> ServedCertificate | str:
    """The certificate, verified as clients of the deployment verify it; or why it cannot be read."""
    try:
        trust = find_access(target).security.trust
    except (RejectedError, UnreachableError) as error:
        return str(error)
    if trust is None:
        return "the deployment has no TLS"
    host, _, port = address.rpartition(":")
    if not host:
        return "the address has no port; use HOST:PORT, such as 127.0.0.1:8443"
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), SECONDS) as connection,
            trust.http_context().wrap_socket(connection, server_hostname=host) as secured,
        ):
            return ServedCertificate(address, secured.getpeercert(binary_form=True) or b"", secured.version() or "")
    except OSError as error:
        return str(tls_failure(str(error), address, trust.server_name) or error)
