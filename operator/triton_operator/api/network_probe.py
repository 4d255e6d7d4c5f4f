"""The record of `tritonctl doctor --probe`: whether the network of this cluster enforces NetworkPolicies.

`tritonctl` writes it to the ConfigMap `NETWORK_PROBE` of the operator's namespace, and the operator reads it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from triton_operator.api.struct import Struct

RESULT_KEY = "result.json"
"""The key of the ConfigMap: a NetworkProbe."""

VALID_FOR = timedelta(days=90)
"""How long a result counts: networks of clusters change, and nobody repeats a test without a reason."""


class NetworkProbe(Struct, frozen=True, omit_defaults=False):
    """One run of the probe: `time` is RFC 3339, `nodes` are those of its pods.

    `ingress` and `egress`: a connection that was possible before was blocked while a policy forbade it.
    """

    time: str
    kubernetes_version: str
    nodes: tuple[str, ...]
    ingress: bool
    egress: bool

    def is_valid(self, now: datetime) -> bool:
        """Whether it still counts."""
        try:
            return now - datetime.fromisoformat(self.time) <= VALID_FOR
        except (ValueError, TypeError):  # Not a time, or one without a zone.
            return False


def encode(probe: NetworkProbe) -> str:
    """The value of RESULT_KEY."""
    return msgspec.json.encode(probe).decode()


def decode(text: str) -> NetworkProbe:
    """Read RESULT_KEY; raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=NetworkProbe)
