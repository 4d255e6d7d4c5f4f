"""The version policy of a model: the API's VersionPolicy as Triton's message, and back. Pure.

`typed_config` writes it, `summary` reads it from any configuration.
"""

from __future__ import annotations

from triton_operator.api.model import AllVersions, LatestVersions, SpecificVersions, VersionPolicy
from triton_operator.triton.text.checked_values import as_integer, optional_integer, optional_message
from triton_operator.triton.text.errors import ConfigError
from triton_operator.triton.text.parser import Message

_FIELD = "version_policy"
_KINDS = ("latest", "all", "specific")

DEFAULT = VersionPolicy(latest=LatestVersions(1))
"""Triton's own default: the highest version."""


def version_policy_of(message: Message) -> VersionPolicy | None:
    """The version policy in a configuration, None if it has none; raises ConfigError."""
    policy = optional_message(message, _FIELD)
    if not policy:
        return None
    if len(policy) > 1 or not policy.keys() <= {*_KINDS}:
        raise ConfigError(f"{_FIELD}: exactly one of {', '.join(_KINDS)} must be set, not {', '.join(policy)}")
    if "all" in policy:
        return VersionPolicy(all=AllVersions())
    if "specific" in policy:
        return VersionPolicy(specific=SpecificVersions(_versions(optional_message(policy, "specific"))))
    return VersionPolicy(latest=LatestVersions(_count(optional_message(policy, "latest"))))


def version_policy_fields(policy: VersionPolicy | None) -> Message:
    """The field `version_policy` of a configuration, no field for None."""
    if policy is None:
        return {}
    if policy.latest:
        return {_FIELD: [{"latest": [{"num_versions": [policy.latest.count]}]}]}
    if policy.specific:
        return {_FIELD: [{"specific": [{"versions": list(policy.specific.versions)}]}]}
    return {_FIELD: [{"all": [{}]}]}


def _versions(specific: Message) -> tuple[int, ...]:
    return tuple(as_integer(value, f"{_FIELD}.specific.versions") for value in specific.get("versions", ()))


def _count(latest: Message) -> int:
    """Protobuf reads an explicit `latest { }` as 0 versions, and Triton then serves nothing."""
    count = optional_integer(latest, "num_versions")
    if count < 1:
        raise ConfigError(f"{_FIELD}.latest.num_versions: must be at least 1")
    return count
