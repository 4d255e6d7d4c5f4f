"""What a user sets for all pods of a deployment, serving pods and those that fill a cache: account, DNS, host names."""

from __future__ import annotations

import msgspec

from triton_operator.api.struct import Struct


class ServiceAccount(Struct, frozen=True):
    """The identity of the pods: the user's existing account, or annotations of the one that the operator creates."""

    name: str | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class DnsOption(Struct, frozen=True):
    """An option of the resolver, such as `ndots` with the value 2."""

    name: str
    value: str | None = None


class DnsConfig(Struct, frozen=True):
    """A Kubernetes PodDNSConfig, which is added to the cluster's configuration of the resolver."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()


class HostAlias(Struct, frozen=True):
    """Names of one address in the pods' `/etc/hosts`."""

    ip: str
    hostnames: tuple[str, ...]
