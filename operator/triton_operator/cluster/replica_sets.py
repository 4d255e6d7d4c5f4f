"""Which ConfigMaps ReplicaSets mount: a config that an old ReplicaSet names must outlive it for rollbacks. Pure."""

from __future__ import annotations

import msgspec

from triton_operator.cluster.stored_objects import Stored


class _ConfigMap(Stored):
    name: str = ""


class _Source(Stored):
    config_map: _ConfigMap | None = None


class _Projected(Stored):
    sources: tuple[_Source, ...] = ()


class _Volume(_Source):
    projected: _Projected | None = None


class _PodSpec(Stored):
    volumes: tuple[_Volume, ...] = ()


class _Template(Stored):
    spec: _PodSpec


class _Spec(Stored):
    template: _Template


class _ReplicaSet(Stored):
    spec: _Spec


_decode = msgspec.json.Decoder(_ReplicaSet).decode


def mounted_config_maps(items: list[msgspec.Raw]) -> frozenset[str]:
    """Names of all ConfigMaps that the pods of these ReplicaSets mount, directly or in a projected volume."""
    volumes = [volume for item in items for volume in _decode(item).spec.template.spec.volumes]
    sources = [source for volume in volumes for source in (volume, *(volume.projected or _Projected()).sources)]
    return frozenset(source.config_map.name for source in sources if source.config_map)
