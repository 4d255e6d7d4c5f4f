"""The termination message of the sidecar `proxy`: why it could not start or continue.

`proxy` writes a ProxyFailed as one JSON line, and `reconcile` reads it from the pod's status.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.struct import Struct


class ProxyFailed(Struct, frozen=True):
    """The problem in words for a user; `proxy` is always "failed"."""

    message: str
    proxy: str = "failed"


_decode = msgspec.json.Decoder(ProxyFailed).decode


def read(text: str) -> str:
    """The problem in the last line of a termination message; "" if the proxy did not write it."""
    last = text.rstrip().rpartition("\n")[2]
    try:
        return _decode(last).message
    except msgspec.DecodeError:
        return ""
