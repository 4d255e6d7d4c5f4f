"""What the children of `spec.exposure` show: their hosts, and what controllers have made of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from triton_operator.cluster.observed import (
    ROUTE_KINDS,
    IngressState,
    Kind,
    ObservedCondition,
    RouteParent,
    RouteState,
)
from triton_operator.cluster.stored_objects import Stored, StoredStatus

if TYPE_CHECKING:
    from triton_operator.cluster.stored_objects import StoredChild, StoredParent


class _Rule(Stored):
    host: str = ""


class _IngressSpec(Stored):
    rules: tuple[_Rule, ...] = ()


class _RouteSpec(Stored):
    hostnames: tuple[str, ...] = ()


_decode_ingress_spec = msgspec.json.Decoder(_IngressSpec).decode
_decode_route_spec = msgspec.json.Decoder(_RouteSpec).decode


def project_exposure(kind: Kind, stored: StoredChild) -> IngressState | RouteState | None:
    """The state of such a child, None for any other kind; raises msgspec.DecodeError."""
    status = stored.status or StoredStatus()
    if kind is Kind.INGRESS:
        return IngressState(
            hosts=tuple(rule.host for rule in _decode_ingress_spec(stored.spec).rules if rule.host),
            addresses=status.load_balancer.addresses,
            created_at=stored.metadata.creation_timestamp,
        )
    if kind in ROUTE_KINDS:
        return RouteState(
            hosts=_decode_route_spec(stored.spec).hostnames,
            parents=tuple(_parent(each, stored) for each in (*status.parents, *status.ancestors)),
            created_at=stored.metadata.creation_timestamp,
        )
    return None


def _parent(reported: StoredParent, stored: StoredChild) -> RouteParent:
    """Without conditions of an earlier generation."""
    reference = reported.ancestor_ref or reported.parent_ref
    return RouteParent(
        namespace=reference.namespace or stored.metadata.namespace,
        name=reference.name,
        section=reference.section_name,
        port=reference.port,
        conditions=tuple(
            ObservedCondition(type=each.type, status=each.status, reason=each.reason, message=each.message)
            for each in reported.conditions
            if each.observed_generation >= stored.metadata.generation
        ),
    )
