"""Projects the JSON of any NetworkPolicy, with or without the operator's labels, to what it allows for which pods.

Policies are additive: one more policy that selects a pod and has a rule allows additional traffic, whatever the
operator's own policy says. The content of the rules is not kept.
"""

from __future__ import annotations

import msgspec

from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.label_selector import StoredSelector
from triton_operator.cluster.observed import Record
from triton_operator.cluster.stored_objects import Identity, Stored


class ObservedPolicy(Record, frozen=True, kw_only=True):
    """A NetworkPolicy: the pods of its namespace that it selects, and whether it has a rule that allows traffic."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    selector: StoredSelector = StoredSelector()
    allows_ingress: bool = False
    allows_egress: bool = False


class _PolicySpec(Stored):
    pod_selector: StoredSelector = StoredSelector()
    policy_types: tuple[str, ...] = ()
    ingress: list[msgspec.Raw] | None = None
    egress: list[msgspec.Raw] | None = None


class _StoredPolicy(Stored):
    metadata: Identity
    spec: _PolicySpec = msgspec.field(default_factory=_PolicySpec)


_decode = msgspec.json.Decoder(_StoredPolicy).decode


def project_policy(body: bytes | msgspec.Raw) -> ObservedPolicy:
    """A policy; raises msgspec.DecodeError for anything else."""
    stored = decode_any_depth(_decode, bytes(body))
    metadata, spec = stored.metadata, stored.spec
    return ObservedPolicy(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.version,
        selector=spec.pod_selector,
        # Rules of a direction that `policyTypes` does not list have no effect; without the field, all rules have one.
        allows_ingress=bool(spec.ingress) and "Ingress" in (spec.policy_types or ("Ingress",)),
        allows_egress=bool(spec.egress) and "Egress" in (spec.policy_types or ("Egress",)),
    )
