"""Projects the JSON of the ConfigMap with the result of `tritonctl doctor --probe`."""

from __future__ import annotations

import msgspec

from triton_operator.api.network_probe import RESULT_KEY, NetworkProbe, decode
from triton_operator.cluster.observed import Record
from triton_operator.cluster.stored_objects import Identity, Stored


class ProbeRecord(Record, frozen=True, kw_only=True):
    """The ConfigMap; `probe` is None if somebody has replaced its content with something else."""

    resource_version: int
    probe: NetworkProbe | None


class _StoredConfigMap(Stored):
    metadata: Identity
    data: dict[str, str] = msgspec.field(default_factory=dict)


_decode = msgspec.json.Decoder(_StoredConfigMap).decode


def project_probe(body: bytes | msgspec.Raw) -> ProbeRecord:
    """The record; raises msgspec.DecodeError for anything but a ConfigMap."""
    stored = _decode(body)
    try:
        probe = decode(stored.data.get(RESULT_KEY, ""))
    except msgspec.DecodeError:
        probe = None
    return ProbeRecord(resource_version=stored.metadata.version, probe=probe)
