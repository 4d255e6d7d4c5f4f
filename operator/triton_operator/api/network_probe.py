"""The record of `tritonctl doctor --probe`: whether the network of this cluster enforces NetworkPolicies.

`tritonctl` writes it to the ConfigMap `NETWORK_PROBE` of the operator's namespace, and the operator reads it.
"""

from __future__ import annotations

import msgspec

from triton_operator.api.struct import Struct

RESULT_KEY = "result.json"
"""The key of the ConfigMap: a NetworkProbe."""


class NetworkProbe(Struct, frozen=True, omit_defaults=False):
    """One run of the probe: `time` is RFC 3339, `nodes` are those of its pods.

    `ingress` and `egress`: a connection that was possible before was blocked while a policy forbade it.
    """

    time: str
    kubernetes_version: str
    nodes: tuple[str, ...]
    ingress: bool
    egress: bool


def encode(probe: NetworkProbe) -> str:
    """The value of RESULT_KEY."""
    return msgspec.json.encode(probe).decode()


def decode(text: str) -> NetworkProbe:
    """Read RESULT_KEY; raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=NetworkProbe)
