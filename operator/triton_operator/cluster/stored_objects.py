"""Kubernetes objects as the API server writes them, decoded no further than the operator looks.

What nobody reads field by field stays `msgspec.Raw`: a slice of the received bytes, good for hashing. The
projections are the only readers. Every struct ignores unknown fields, so newer API servers do no harm.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from triton_operator.api.names import GROUP
from triton_operator.api.names import KIND as OWNER_KIND


class Stored(msgspec.Struct, rename="camel"):
    """Common options: camelCase on the wire."""


class Owner(Stored):
    """One ownerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class FieldSet(msgspec.Struct):
    """The parts of a `fieldsV1` that tell who owns content."""

    spec: dict[str, Raw] | None = msgspec.field(default=None, name="f:spec")
    data: dict[str, Raw] | None = msgspec.field(default=None, name="f:data")
    binary_data: dict[str, Raw] | None = msgspec.field(default=None, name="f:binaryData")


class ManagedFields(Stored):
    """What one field manager owns."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields: FieldSet = msgspec.field(default_factory=FieldSet, name="fieldsV1")


class Metadata(Stored):
    """The metadata that matters to us."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[Owner] = []
    managed_fields: list[ManagedFields] = []
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None

    @property
    def deployment_uid(self) -> str:
        """Uid of the ModelDeployment that owns it, of whatever version that was written; "" when none does."""
        return self._deployment.uid

    @property
    def deployment_name(self) -> str:
        """Its name; "" when none does."""
        return self._deployment.name

    @property
    def _deployment(self) -> Owner:
        for owner in self.owner_references:
            if owner.kind == OWNER_KIND and owner.api_version.startswith(f"{GROUP}/"):
                return owner
        return Owner()


class StoredCondition(Stored):
    """A condition in anybody's status."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class StoredStatus(Stored):
    """The status fields of Deployments, HorizontalPodAutoscalers and Jobs that the operator reads."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    start_time: str | None = None
    conditions: list[StoredCondition] = []


class StoredResources(Stored):
    """`spec.resources` of a claim."""

    requests: dict[str, str] = {}


class Identity(Stored):
    """Which object, and which state of it; all that is decoded where nothing else is news."""

    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = "0"

    @property
    def version(self) -> int:
        """The resourceVersion; they are comparable integers."""
        return int(self.resource_version)


class StoredObject(Stored):
    """Any object, seen from the outside; a watch's bookmark too."""

    metadata: Identity


class StoredChild(Stored):
    """Any child kind; the content of each sits in one of these members."""

    metadata: Metadata
    spec: dict[str, Raw] = {}
    data: Raw = Raw()
    binary_data: Raw = Raw()
    immutable: bool = False
    revision: int = 0
    automount_service_account_token: bool | None = None
    status: StoredStatus | None = None
