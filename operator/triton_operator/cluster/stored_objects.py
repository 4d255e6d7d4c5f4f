"""Kubernetes objects as the API server writes them, with the fields that the operator reads.

Fields that are only hashed stay `msgspec.Raw`, a slice of the received bytes. Only the projections read these structs.
They ignore unknown fields, so newer API servers are compatible.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from triton_operator.api.names import GROUP
from triton_operator.api.names import KIND as OWNER_KIND


class Stored(msgspec.Struct, rename="camel"):
    """Common options: camelCase on the wire."""


class Owner(Stored, omit_defaults=True):
    """One ownerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ManagedFields(Stored):
    """What one field manager owns; `field_ownership` decodes the fields."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    fields: Raw = msgspec.field(default=Raw(b"{}"), name="fieldsV1")


class DeploymentSpecFields(msgspec.Struct):
    """Whether a field manager owns the replica count."""

    replicas: Raw = msgspec.field(default=Raw(), name="f:replicas")


class DeploymentFields(msgspec.Struct):
    """The part of a Deployment's `fieldsV1` with the replica count."""

    spec: DeploymentSpecFields = msgspec.field(default_factory=DeploymentSpecFields, name="f:spec")


class StoredMetadata(Stored):
    """The metadata that the operator reads."""

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
        """Uid of the ModelDeployment that owns it, in any API version; "" if none does."""
        return self._deployment.uid

    @property
    def deployment_name(self) -> str:
        """Name of the ModelDeployment that owns it; "" if none does."""
        return self._deployment.name

    @property
    def _deployment(self) -> Owner:
        for owner in self.owner_references:
            if owner.kind == OWNER_KIND and owner.api_version.startswith(f"{GROUP}/"):
                return owner
        return Owner()


class StoredCondition(Stored):
    """A condition in any status."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class StoredAddress(Stored):
    """One address of a load balancer."""

    ip: str = ""
    hostname: str = ""


class StoredLoadBalancer(Stored):
    """`status.loadBalancer` of a Service or an Ingress."""

    ingress: list[StoredAddress] = []

    @property
    def addresses(self) -> tuple[str, ...]:
        """IP addresses and host names."""
        return tuple(address for each in self.ingress if (address := each.hostname or each.ip))


class StoredMetricValue(Stored):
    """The target or the current value of a metric; one member is set, for a target that of its type."""

    type: str = ""
    value: str | None = None
    average_value: str | None = None
    average_utilization: int | None = None


class StoredObjectName(Stored):
    """A metric, the object that it describes, or the object that an autoscaler scales."""

    kind: str = ""
    name: str = ""


class StoredMetricSource(Stored):
    """What a metric of a HorizontalPodAutoscaler measures, with its target in the spec, or its value in the status."""

    name: str = ""
    container: str = ""
    metric: StoredObjectName = msgspec.field(default_factory=StoredObjectName)
    described_object: StoredObjectName = msgspec.field(default_factory=StoredObjectName)
    target: StoredMetricValue = msgspec.field(default_factory=StoredMetricValue)
    current: StoredMetricValue = msgspec.field(default_factory=StoredMetricValue)


class StoredMetric(Stored):
    """A metric in the spec or the status of a HorizontalPodAutoscaler; its type is "" in the status if it failed."""

    type: str = ""
    resource: StoredMetricSource | None = None
    container_resource: StoredMetricSource | None = None
    pods: StoredMetricSource | None = None
    object: StoredMetricSource | None = None
    external: StoredMetricSource | None = None

    @property
    def source(self) -> StoredMetricSource | None:
        """The member of its type."""
        return self.resource or self.container_resource or self.pods or self.object or self.external


class StoredParentRef(Stored):
    """A Gateway or one of its listeners."""

    name: str = ""
    namespace: str = ""
    section_name: str = ""
    port: int = 0


class StoredParent(Stored):
    """What a controller of the Gateway API reports; a route has `parent_ref`, a policy `ancestor_ref`."""

    parent_ref: StoredParentRef = msgspec.field(default_factory=StoredParentRef)
    ancestor_ref: StoredParentRef | None = None
    conditions: list[StoredCondition] = []


class StoredStatus(Stored):
    """The status fields of children that the operator reads."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    desired_replicas: int = 0
    current_metrics: list[StoredMetric] | None = None
    start_time: str | None = None
    not_after: str | None = None
    revision: int = 0
    conditions: list[StoredCondition] = []
    load_balancer: StoredLoadBalancer = msgspec.field(default_factory=StoredLoadBalancer)
    parents: list[StoredParent] = []
    ancestors: list[StoredParent] = []


class StoredRollingUpdate(Stored):
    """`spec.strategy.rollingUpdate` of a Deployment."""

    max_surge: int | str = 1


class StoredStrategy(Stored):
    """`spec.strategy` of a Deployment."""

    type: str = "RollingUpdate"
    rolling_update: StoredRollingUpdate | None = None

    @property
    def replaces_in_place(self) -> bool:
        """Whether an old pod stops before a new one starts."""
        surge = self.rolling_update.max_surge if self.rolling_update else 1
        return self.type == "Recreate" or str(surge) in {"0", "0%"}


class StoredTemplateMetadata(Stored):
    """`spec.template.metadata` of a Deployment."""

    labels: dict[str, str] = {}


class StoredTemplate(Stored):
    """`spec.template` of a Deployment."""

    metadata: StoredTemplateMetadata = msgspec.field(default_factory=StoredTemplateMetadata)


class StoredDeploymentSpec(Stored):
    """`spec` of a Deployment."""

    replicas: int = 1
    template: StoredTemplate = msgspec.field(default_factory=StoredTemplate)
    strategy: StoredStrategy = msgspec.field(default_factory=StoredStrategy)


class StoredClaimResources(Stored):
    """`spec.resources` of a claim."""

    requests: dict[str, str] = {}


class StoredClaimSpec(Stored):
    """`spec` of a claim."""

    resources: StoredClaimResources = msgspec.field(default_factory=StoredClaimResources)


class Identity(Stored):
    """Name, uid and version of an object; all that is decoded of objects that have not changed."""

    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = "0"

    @property
    def version(self) -> int:
        """The resourceVersion as an integer, which is comparable."""
        return int(self.resource_version)


class StoredObject(Stored):
    """The identity of any object, or of a bookmark."""

    metadata: Identity


class WatchEvent(msgspec.Struct):
    """One event of a watch."""

    type: str
    object: Raw


class StoredChild(Stored):
    """Any child kind; the content is in one of these members."""

    metadata: StoredMetadata
    spec: Raw = Raw(b"{}")
    data: Raw = Raw()
    binary_data: Raw = Raw()
    immutable: bool = False
    revision: int = 0
    automount_service_account_token: bool | None = None
    status: StoredStatus | None = None
