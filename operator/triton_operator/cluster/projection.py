"""Projects the JSON of a child to the small Child in the operator's cache; see `pod_projection` for pods.

Pure functions; the reflectors call them for every event and `HttpCluster` for every response, so they create no
dictionaries of whole objects. The same content always has the same fingerprint, because the API server writes maps in
sorted order, in watches and in responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from triton_operator.api.names import (
    ANNOTATION_CANARY,
    ANNOTATION_CANARY_FAILURE,
    ANNOTATION_FAILED_REVISION,
    ANNOTATION_RESTORED_REVISION,
    LABEL_DEPLOYMENT,
    LABEL_REVISION,
    MANAGER,
    SCALE_MANAGER,
    content_hash,
)
from triton_operator.cluster.autoscaler_projection import project_scaling
from triton_operator.cluster.deep_json import decode_any_depth
from triton_operator.cluster.exposure_projection import project_exposure
from triton_operator.cluster.field_ownership import owned_digest
from triton_operator.cluster.immutable_children import immutable_fingerprint, immutable_state
from triton_operator.cluster.observed import (
    IMMUTABLE_KINDS,
    CertificateState,
    Child,
    DeploymentState,
    Kind,
    ObservedCondition,
    RevisionState,
    ServiceState,
    State,
)
from triton_operator.cluster.stored_objects import (
    DeploymentFields,
    Identity,
    ManagedFields,
    StoredChild,
    StoredCondition,
    StoredDeploymentSpec,
    StoredMetadata,
    StoredObject,
    StoredStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = frozenset({MANAGER, SCALE_MANAGER})
_CONTENT = frozenset({"f:spec", "f:data", "f:binaryData"})
_ROLLOUT_ANNOTATIONS = "deployment.kubernetes.io/"
"""Annotations of the Deployment controller; its revision number changes with every rollout."""

_decode_child = msgspec.json.Decoder(StoredChild).decode
_decode_any = msgspec.json.Decoder(StoredObject).decode
_decode_deployment_spec = msgspec.json.Decoder(StoredDeploymentSpec).decode
_decode_owned_replicas = msgspec.json.Decoder(DeploymentFields).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_ABSENT = msgspec.Raw(b"null")


def project_child(kind: Kind, body: bytes | msgspec.Raw, *, with_owned: bool = False) -> Child:
    """A child; `with_owned` adds the digest of what we own. Raises msgspec.DecodeError for anything else."""
    stored = decode_any_depth(_decode_child, bytes(body))
    immutable = kind in IMMUTABLE_KINDS
    metadata = stored.metadata
    return Child(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=int(metadata.resource_version),
        deployment=metadata.deployment_name or metadata.labels.get(LABEL_DEPLOYMENT, ""),
        owner_uid=metadata.deployment_uid,
        fingerprint=immutable_fingerprint(stored) if immutable else _fingerprint(kind, stored),
        owned=owned_digest(kind, stored) if with_owned else "",
        has_foreign_fields=not immutable and any(_owns_content(kind, entry) for entry in metadata.managed_fields),
        is_frozen=kind is Kind.CONFIG_MAP and stored.immutable,
        deleting=metadata.deletion_timestamp is not None,
        state=immutable_state(kind, stored) if immutable else _state(kind, stored),
    )


def identify(body: bytes | msgspec.Raw) -> Identity:
    """The identity of an object of any kind; raises msgspec.DecodeError."""
    return decode_any_depth(_decode_any, bytes(body)).metadata


def project_conditions(conditions: Iterable[StoredCondition]) -> tuple[ObservedCondition, ...]:
    """Conditions as their controllers wrote them."""
    return tuple(
        ObservedCondition(type=c.type, status=c.status, reason=c.reason, message=c.message) for c in conditions
    )


def _fingerprint(kind: Kind, stored: StoredChild) -> str:
    """16 hexadecimal digits over everything that somebody else could change, without status and replicas."""
    spec: msgspec.Raw | dict[str, msgspec.Raw] = stored.spec
    if kind is Kind.DEPLOYMENT:
        spec = _decode_members(stored.spec)
        spec.pop("replicas", None)
    annotations = {
        key: value for key, value in stored.metadata.annotations.items() if not key.startswith(_ROLLOUT_ANNOTATIONS)
    }
    content = (
        spec,
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


def _owns_content(kind: Kind, entry: ManagedFields) -> bool:
    """Whether an entry of another manager owns content, other than through /status or /scale."""
    if entry.manager in _OURS or entry.subresource:
        return False
    if kind is Kind.DEPLOYMENT:
        return any(_is_content(field, owned) for field, owned in _owned_spec(entry).items())
    return not _decode_members(entry.fields).keys().isdisjoint(_CONTENT)


def _owned_spec(entry: ManagedFields) -> dict[str, msgspec.Raw]:
    fields = _decode_members(entry.fields)
    return _decode_members(fields["f:spec"]) if "f:spec" in fields else {}


def _is_content(field: str, owned: msgspec.Raw) -> bool:
    """Whether only we may own a field of a Deployment's spec: not replicas, and not the pod template's metadata."""
    if field == "f:template":
        return bool(_decode_members(owned).keys() - {"f:metadata"})
    return field != "f:replicas"


def _owns_replicas(metadata: StoredMetadata) -> bool:
    own = (entry for entry in metadata.managed_fields if entry.manager == MANAGER and entry.operation == "Apply")
    return any(_decode_owned_replicas(entry.fields).spec.replicas for entry in own)


def _scaled_by(metadata: StoredMetadata) -> str:
    """The manager other than the operator that set the replica count through `/scale`."""
    for entry in metadata.managed_fields:
        if entry.subresource == "scale" and entry.manager not in _OURS:
            return entry.manager if _decode_owned_replicas(entry.fields).spec.replicas else ""
    return ""


def _state(kind: Kind, stored: StoredChild) -> State | None:
    status = stored.status or StoredStatus()
    match kind:
        case Kind.DEPLOYMENT:
            spec = _decode_deployment_spec(stored.spec)
            return DeploymentState(
                generation=stored.metadata.generation,
                replicas=spec.replicas,
                owns_replicas=_owns_replicas(stored.metadata),
                scaled_by=_scaled_by(stored.metadata),
                replaces_in_place=spec.strategy.replaces_in_place,
                failed_revision=stored.metadata.annotations.get(ANNOTATION_FAILED_REVISION, ""),
                restored_revision=stored.metadata.annotations.get(ANNOTATION_RESTORED_REVISION, ""),
                canary_failure=stored.metadata.annotations.get(ANNOTATION_CANARY_FAILURE, ""),
                canary=stored.metadata.annotations.get(ANNOTATION_CANARY, ""),
                template_revision=spec.template.metadata.labels.get(LABEL_REVISION, ""),
                observed_generation=status.observed_generation,
                current_replicas=status.replicas,
                updated_replicas=status.updated_replicas,
                ready_replicas=status.ready_replicas,
                available_replicas=status.available_replicas,
                conditions=project_conditions(status.conditions),
            )
        case Kind.REVISION:
            return RevisionState(number=stored.revision, data=bytes(stored.data))
        case Kind.AUTOSCALER | Kind.SCALED_OBJECT:
            return project_scaling(kind, stored.spec, status, stored.metadata.owner_references)
        case Kind.CERTIFICATE:
            return CertificateState(
                conditions=project_conditions(status.conditions),
                not_after=status.not_after or "",
                revision=status.revision,
            )
        case Kind.SERVICE:
            addresses = status.load_balancer.addresses
            return ServiceState(addresses=addresses) if addresses else None
        case _:
            return project_exposure(kind, stored)
