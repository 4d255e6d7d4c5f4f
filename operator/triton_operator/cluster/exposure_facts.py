"""What prevents a deployment from being exposed: hosts that another one has, and kinds that cannot be used.

Pure. Input: the tables of children of the deployments that may have a host. A host belongs to the deployment whose
object for it is the oldest, so that nobody can take a host from another one. Objects that the operator did not create
are not considered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import NamedTuple

from triton_operator.api.names import ingress_name
from triton_operator.cluster.observed import Child, ChildId, IngressState, Kind, RouteState

_NEVER: tuple[int, str, str] = (1, "", "")


class ExposureFacts(NamedTuple):
    """`held_hosts` belong to other deployments; `unavailable` are kinds that do not exist or are forbidden."""

    held_hosts: frozenset[str] = frozenset()
    unavailable: tuple[tuple[Kind, HTTPStatus], ...] = ()


NO_FACTS = ExposureFacts()


def find_held_hosts(
    hosts: Iterable[str],
    own: Mapping[ChildId, Child],
    others: Iterable[tuple[str, Mapping[ChildId, Child]]],
    name: str,
) -> frozenset[str]:
    """Those of `hosts` that an older object of another deployment has; `others` are pairs of a name and its table."""
    asked = frozenset(hosts)
    mine = _oldest(asked, _exposing(name, own))
    held: dict[str, tuple[int, str, str]] = {}
    for other, table in others:
        for host, age in _oldest(asked, _exposing(other, table)).items():
            held[host] = min(age, held.get(host, age))
    return frozenset(host for host, age in held.items() if age < mine.get(host, _NEVER))


def _oldest(hosts: frozenset[str], children: Iterable[Child]) -> dict[str, tuple[int, str, str]]:
    """The creation of the oldest object for each host, comparable between deployments.

    A host that somebody else has written into the object gives no right to it; the operator undoes the edit.
    """
    found: dict[str, tuple[int, str, str]] = {}
    for child in children:
        is_own_content = not child.deleting and not child.has_foreign_fields
        if is_own_content and isinstance(child.state, IngressState | RouteState):
            age = (0, child.state.created_at, child.uid)
            found |= {host: min(age, found.get(host, age)) for host in child.state.hosts if host in hosts}
    return found


def _exposing(name: str, table: Mapping[ChildId, Child]) -> Iterator[Child]:
    """The children that may have hosts, found by their names, because tables are large."""
    ingresses = [(Kind.INGRESS, ingress_name(name, protocol)) for protocol in ("http", "grpc")]
    for child_id in (*ingresses, (Kind.HTTP_ROUTE, name), (Kind.GRPC_ROUTE, name)):
        if child := table.get(child_id):
            yield child
