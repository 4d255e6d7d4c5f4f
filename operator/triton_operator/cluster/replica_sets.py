"""ConfigMaps and claims that ReplicaSets mount; those of old ReplicaSets are kept for rollbacks. Pure."""

from __future__ import annotations

import msgspec

from triton_operator.cluster.observed import Kind
from triton_operator.cluster.stored_objects import Stored


class _ConfigMap(Stored):
    name: str = ""


class _MountedClaim(Stored):
    claim_name: str = ""


class _Source(Stored):
    config_map: _ConfigMap | None = None


class _Projected(Stored):
    sources: tuple[_Source, ...] = ()


class _PodVolume(_Source):
    projected: _Projected | None = None
    persistent_volume_claim: _MountedClaim | None = None


class _PodSpec(Stored):
    volumes: tuple[_PodVolume, ...] = ()


class _Template(Stored):
    spec: _PodSpec


class _ReplicaSetSpec(Stored):
    template: _Template


class _ReplicaSet(Stored):
    spec: _ReplicaSetSpec


_decode = msgspec.json.Decoder(_ReplicaSet).decode


def mounted(items: list[msgspec.Raw]) -> frozenset[tuple[Kind, str]]:
    """Kind and name of all ConfigMaps and claims that the pods of these ReplicaSets mount, in projected volumes too."""
    volumes = [volume for item in items for volume in _decode(item).spec.template.spec.volumes]
    sources = [source for volume in volumes for source in (volume, *(volume.projected or _Projected()).sources)]
    configs = {(Kind.CONFIG_MAP, source.config_map.name) for source in sources if source.config_map}
    claims = {
        (Kind.CLAIM, volume.persistent_volume_claim.claim_name) for volume in volumes if volume.persistent_volume_claim
    }
    return frozenset(configs | claims)
