"""From an object's JSON bytes to the small Child that the operator remembers; pods are `pod_projection`'s.

Pure functions; the reflectors call them for every event and `HttpCluster` for every answer, so they make no Python
dictionaries of whole objects. Two decodings of the same content give the same fingerprint: the API server's encoder
writes maps in sorted order, in watches as in answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from triton_operator.api.names import LABEL_DEPLOYMENT, MANAGER, SCALE_MANAGER, content_hash
from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.field_ownership import owned_digest
from triton_operator.cluster.immutable_children import immutable_fingerprint, immutable_state
from triton_operator.cluster.observed import (
    IMMUTABLE_KINDS,
    AutoscalerState,
    Child,
    Condition,
    DeploymentState,
    Kind,
    RevisionState,
    State,
)
from triton_operator.cluster.stored_objects import (
    Identity,
    ManagedFields,
    Metadata,
    StoredChild,
    StoredCondition,
    StoredObject,
    StoredStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = frozenset({MANAGER, SCALE_MANAGER})
_ROLLOUT_ANNOTATIONS = "deployment.kubernetes.io/"
"""Bookkeeping of the Deployment controller: its revision number changes with every rollout."""

_decode_child = msgspec.json.Decoder(StoredChild).decode
_decode_any = msgspec.json.Decoder(StoredObject).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_ABSENT = msgspec.Raw(b"null")


def project_child(kind: Kind, body: bytes | msgspec.Raw, *, with_owned: bool = False) -> Child:
    """A child object, on demand with the digest of what we own; raises msgspec.DecodeError when it is none."""
    stored = decode_any_depth(_decode_child, bytes(body))
    lasting = kind in IMMUTABLE_KINDS
    metadata = stored.metadata
    replicas = stored.spec.pop("replicas", None) if kind is Kind.DEPLOYMENT else None
    return Child(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=int(metadata.resource_version),
        deployment=metadata.deployment_name or metadata.labels.get(LABEL_DEPLOYMENT, ""),
        owner_uid=metadata.deployment_uid,
        fingerprint=immutable_fingerprint(stored) if lasting else _fingerprint(stored),
        owned=owned_digest(body) if with_owned else "",
        foreign=not lasting and any(_is_foreign(kind, entry) for entry in metadata.managed_fields),
        deleting=metadata.deletion_timestamp is not None,
        state=immutable_state(kind, stored) if lasting else _state(kind, stored, replicas),
    )


def identify(body: bytes | msgspec.Raw) -> Identity:
    """Which object this is, of any kind; raises msgspec.DecodeError."""
    return decode_any_depth(_decode_any, bytes(body)).metadata


def project_conditions(conditions: Iterable[StoredCondition]) -> tuple[Condition, ...]:
    """Conditions as their controller wrote them."""
    return tuple(Condition(type=c.type, status=c.status, reason=c.reason, message=c.message) for c in conditions)


def _fingerprint(stored: StoredChild) -> str:
    """16 hexadecimal digits over everything a user or a controller could change by hand; no status in it."""
    annotations = {
        key: value for key, value in stored.metadata.annotations.items() if not key.startswith(_ROLLOUT_ANNOTATIONS)
    }
    content = (
        stored.spec,
        stored.data or _ABSENT,
        stored.binary_data or _ABSENT,
        stored.immutable,
        stored.revision,
        stored.automount_service_account_token,
        stored.metadata.labels,
        annotations,
        stored.metadata.owner_references,
    )
    return content_hash(_encode(content), 16)


def _is_foreign(kind: Kind, entry: ManagedFields) -> bool:
    """Whether somebody else wrote into the content, other than through /status or /scale."""
    if entry.manager in _OURS or entry.subresource:
        return False
    fields = entry.fields
    if kind is Kind.DEPLOYMENT and fields.spec is not None:
        return any(_is_content(field, owned) for field, owned in fields.spec.items())
    return fields.spec is not None or fields.data is not None or fields.binary_data is not None


def _is_content(field: str, owned: msgspec.Raw) -> bool:
    """Whether a field of a Deployment's spec is ours alone: not replicas, and not the pod template's metadata."""
    if field == "f:template":
        return bool(_decode_keys(owned).keys() - {"f:metadata"})
    return field != "f:replicas"


def _owns_replicas(metadata: Metadata) -> bool:
    return any(
        entry.manager == MANAGER and entry.operation == "Apply" and "f:replicas" in (entry.fields.spec or ())
        for entry in metadata.managed_fields
    )


def _state(kind: Kind, stored: StoredChild, replicas: msgspec.Raw | None) -> State | None:
    status = stored.status or StoredStatus()
    match kind:
        case Kind.DEPLOYMENT:
            return DeploymentState(
                generation=stored.metadata.generation,
                replicas=int(bytes(replicas)) if replicas is not None else 1,
                owns_replicas=_owns_replicas(stored.metadata),
                observed_generation=status.observed_generation,
                current_replicas=status.replicas,
                updated_replicas=status.updated_replicas,
                ready_replicas=status.ready_replicas,
                available_replicas=status.available_replicas,
                conditions=project_conditions(status.conditions),
            )
        case Kind.REVISION:
            return RevisionState(number=stored.revision, data=bytes(stored.data))
        case Kind.AUTOSCALER:
            return AutoscalerState(conditions=project_conditions(status.conditions))
        case _:
            return None
