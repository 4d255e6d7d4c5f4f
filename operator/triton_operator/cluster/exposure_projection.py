"""What the children of `spec.exposure` show: their hosts, and what controllers have made of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from triton_operator.cluster.observed import IngressState, Kind
from triton_operator.cluster.stored_objects import Stored, StoredStatus

if TYPE_CHECKING:
    from triton_operator.cluster.stored_objects import StoredChild


class _Rule(Stored):
    host: str = ""


class _IngressSpec(Stored):
    rules: tuple[_Rule, ...] = ()


_decode_ingress_spec = msgspec.json.Decoder(_IngressSpec).decode


def project_exposure(kind: Kind, stored: StoredChild) -> IngressState | None:
    """The state of such a child, None for any other kind; raises msgspec.DecodeError."""
    if kind is not Kind.INGRESS:
        return None
    status = stored.status or StoredStatus()
    return IngressState(
        hosts=tuple(rule.host for rule in _decode_ingress_spec(stored.spec).rules if rule.host),
        addresses=status.load_balancer.addresses,
        created_at=stored.metadata.creation_timestamp,
    )
