"""One message for each kind of TLS failure, with what to do about it.

Pure. Input: the message of OpenSSL (HTTP) or BoringSSL (gRPC), and the address. Output: an AttemptError that is not
retried, or None if the message is not about TLS.
"""

from __future__ import annotations

import re

from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.retry import AttemptError, RequestOutcome

_EXPIRED = re.compile(r"certificate has expired", re.IGNORECASE)
_NOT_YET = re.compile(r"certificate is not yet valid", re.IGNORECASE)
_NAME = re.compile(r"hostname mismatch|ip address mismatch|not valid for|hostname verification|not in peer certificate",
                   re.IGNORECASE)  # fmt: skip
_AUTHORITY = re.compile(r"certificate.?verify.?failed|certificate.?signature.?failure", re.IGNORECASE)
_PLAIN = re.compile(r"wrong.?version.?number|record layer failure|http.?request|packet length too long", re.IGNORECASE)
_VERSION = re.compile(r"protocol.?version|unsupported.?protocol|no.?protocols.?available", re.IGNORECASE)
_ALERT = re.compile(
    r"certificate.?required|bad.?certificate|handshake.?failure|alert.?certificate|unknown.?ca|alert.?decrypt.?error"
    r"|unwrap failed",  # gRPC only logs which alert it has received.
    re.IGNORECASE,
)
_SET_CA_FILE = "pass the correct CA bundle with ca_file (--ca-file), such as the output of `tritonctl ca NAME`"
_TLS = re.compile(r"\bssl\b|\btls|handshake|hostname verification|unwrap failed", re.IGNORECASE)


def tls_failure(message: str, target: str, server_name: str) -> AttemptError | None:
    """Return the error for the message of a failed handshake; None if it does not come from TLS."""
    name = server_name or target.rpartition(":")[0]
    sentences = {
        _EXPIRED: "its certificate has expired; renew it, or check this machine's clock",
        _NOT_YET: "its certificate is not valid yet; check this machine's clock",
        _NAME: f"its certificate is not for {name}; check the address, or whether another server answers there",
        _AUTHORITY: f"its certificate is not signed by a trusted authority; {_SET_CA_FILE}",
        _PLAIN: "it does not use TLS on this port; check the port, or use an address with http:// or grpc://",
        _VERSION: "it does not support TLS 1.3",
        _ALERT: "it ended the TLS handshake; it may require a client certificate, or reject the one that it received, "
        "for example because it has expired or was issued by another authority",
    }
    if not _TLS.search(message):
        return None
    for pattern, sentence in sentences.items():
        if pattern.search(message):
            return AttemptError(UnreachableError(f"{target} cannot be trusted: {sentence}"), RequestOutcome.UNTRUSTED)
    return None
