"""Objects in the operator's cache: small projections, never whole objects.

`cluster` decodes them from the API server's JSON, `reconcile` reads them. The content of a child is reduced to a
fingerprint, so that 500 deployments with all their children need a few megabytes. Drift is a fingerprint that differs
from the one in the response to the operator's last apply.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """Kinds of child objects."""

    SERVICE_ACCOUNT = "ServiceAccount"
    CONFIG_MAP = "ConfigMap"
    DEPLOYMENT = "Deployment"
    SERVICE = "Service"
    NETWORK_POLICY = "NetworkPolicy"
    AUTOSCALER = "HorizontalPodAutoscaler"
    DISRUPTION_BUDGET = "PodDisruptionBudget"
    REVISION = "ControllerRevision"
    CLAIM = "PersistentVolumeClaim"
    JOB = "Job"
    CERTIFICATE = "Certificate"
    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"
    GRPC_ROUTE = "GRPCRoute"
    BACKEND_TLS_POLICY = "BackendTLSPolicy"
    SCALED_OBJECT = "ScaledObject"


IMMUTABLE_KINDS = frozenset({Kind.CLAIM, Kind.JOB})
"""Kinds whose content is immutable: they are created, relabelled and deleted, but never reverted."""
ROUTE_KINDS = frozenset({Kind.HTTP_ROUTE, Kind.GRPC_ROUTE, Kind.BACKEND_TLS_POLICY})
"""Kinds of the Gateway API."""
OPTIONAL_KINDS = frozenset({Kind.CERTIFICATE, Kind.INGRESS, Kind.SCALED_OBJECT}) | ROUTE_KINDS
"""Kinds that a cluster may not have, or for which the operator may lack permission."""


Key = tuple[str, str]
"""(namespace, name) of a ModelDeployment."""

ChildId = tuple[Kind, str]
"""Kind and name of a child."""

KINDS = {kind.value: kind for kind in Kind}
"""By the `kind` of a manifest. `Kind(…)` is seven times slower, and a pass needs it some fifty times."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Common options of all projections."""


class ObservedCondition(Record, frozen=True, kw_only=True):
    """A condition of a child or a pod, as its controller wrote it."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class DeploymentState(Record, frozen=True, kw_only=True):
    """Status of a Deployment; `replicas` is that of the spec, `owns_replicas` whether the operator's apply set it.

    `scaled_by` is the field manager that set it through `/scale`, as every autoscaler does; "" without one.
    `replaces_in_place`: by its strategy, an old pod stops before a new one starts.
    `failed_revision` and `restored_revision` are the annotations of a rollback, "" without one; with the annotation
    `canary_failure`, a canary was aborted. `canary` is the progress of a canary, and `template_revision` the revision
    label of the pod template.
    """

    generation: int
    replicas: int
    owns_replicas: bool
    scaled_by: str = ""
    replaces_in_place: bool = False
    failed_revision: str = ""
    restored_revision: str = ""
    canary_failure: str = ""
    canary: str = ""
    template_revision: str = ""
    observed_generation: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[ObservedCondition, ...] = ()


class RevisionState(Record, frozen=True, kw_only=True):
    """A ControllerRevision: its number and its data as JSON bytes, decoded only when needed."""

    number: int
    data: bytes


class ObservedMetric(Record, frozen=True, kw_only=True):
    """A metric of a HorizontalPodAutoscaler for people: `current` is "" if it could not be read."""

    name: str
    current: str
    target: str


class AutoscalerState(Record, frozen=True, kw_only=True):
    """What a HorizontalPodAutoscaler reports: ScalingActive, and AbleToScale if it is not True.

    `metrics` change every 15 seconds, so a change of them alone is not a reason for a pass. `scaled_object_uid` is the
    uid of the ScaledObject that it belongs to, "" for one that the operator created.
    """

    conditions: tuple[ObservedCondition, ...] = ()
    current_replicas: int = 0
    desired_replicas: int = 0
    metrics: tuple[ObservedMetric, ...] = ()
    scaled_object_uid: str = ""


class ScaledObjectState(Record, frozen=True, kw_only=True):
    """What KEDA reports about a ScaledObject: its conditions, without those that change with the load."""

    conditions: tuple[ObservedCondition, ...] = ()


class OtherAutoscaler(Record, frozen=True, kw_only=True):
    """A HorizontalPodAutoscaler of others that scales a child Deployment.

    `scaled_object` is the name of the KEDA ScaledObject that owns it, "" without one; `may_stop`: 0 replicas may be its
    decision.
    """

    name: str
    scaled_object: str = ""
    may_stop: bool = False


class ClaimState(Record, frozen=True, kw_only=True):
    """A PersistentVolumeClaim: the size that it requests, and whether it is marked as filled."""

    requested: str = ""
    filled: bool = False


class JobState(Record, frozen=True, kw_only=True):
    """A Job: its recipe, whether it is over, and why it failed; times are RFC 3339.

    `labelled` is false if somebody has removed the label that the watch selects.
    """

    recipe: str = ""
    labelled: bool = True
    complete: bool = False
    failed: bool = False
    failed_at: str = ""
    reason: str = ""
    message: str = ""
    started_at: str = ""

    @property
    def is_over(self) -> bool:
        """Whether its controller creates no more pods."""
        return self.complete or self.failed


class CertificateState(Record, frozen=True, kw_only=True):
    """What cert-manager reports about a Certificate.

    The certificate expires at `not_after` (RFC 3339), and is the result of the request number `revision`; "" and 0
    before the first one.
    """

    conditions: tuple[ObservedCondition, ...] = ()
    not_after: str = ""
    revision: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether a valid certificate for the spec is in the Secret."""
        return any(each.type == "Ready" and each.status == "True" for each in self.conditions)


class ServiceState(Record, frozen=True, kw_only=True):
    """The addresses of a Service's load balancer: IP addresses and host names."""

    addresses: tuple[str, ...] = ()


class IngressState(Record, frozen=True, kw_only=True):
    """An Ingress: its hosts, the addresses that a controller has given it, and when it was created (RFC 3339)."""

    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    created_at: str = ""


class RouteParent(Record, frozen=True, kw_only=True):
    """What the controller of a Gateway reports about a route or policy, for its current generation."""

    namespace: str
    name: str
    section: str = ""
    port: int = 0
    conditions: tuple[ObservedCondition, ...] = ()


class RouteState(Record, frozen=True, kw_only=True):
    """A route or BackendTLSPolicy of the Gateway API."""

    hosts: tuple[str, ...] = ()
    parents: tuple[RouteParent, ...] = ()
    created_at: str = ""


State = (
    DeploymentState
    | RevisionState
    | AutoscalerState
    | ScaledObjectState
    | ClaimState
    | JobState
    | CertificateState
    | ServiceState
    | IngressState
    | RouteState
)


class Child(Record, frozen=True, kw_only=True):
    """One child object.

    `deployment` is the name of its owner, a ModelDeployment, or, without one, the value of the operator's label, which
    anybody may change; `owner_uid` is the uid of that owner, "" without one. `fingerprint` is a hash of everything but
    status, resourceVersion, bookkeeping and a Deployment's replicas. `owned` is a digest of the fields that the
    operator's applies own, "" if it was not derived (see `field_ownership`). `has_foreign_fields`: another field
    manager owns a part of its spec or data. Status, `/scale`, a Deployment's replicas and the metadata of its pod
    template do not count, because labels and annotations of others stay, so that `kubectl rollout restart` works.
    `fingerprint` and `has_foreign_fields` ignore the content of IMMUTABLE_KINDS. `is_frozen`: somebody has set
    `immutable` of a ConfigMap.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: int
    deployment: str = ""
    owner_uid: str = ""
    fingerprint: str = ""
    owned: str = ""
    has_foreign_fields: bool = False
    is_frozen: bool = False
    deleting: bool = False
    state: State | None = None


class Terminated(Record, frozen=True, kw_only=True):
    """How a container ended."""

    exit_code: int
    reason: str = ""
    signal: int = 0
    message: str = ""
    started_at: str = ""
    finished_at: str = ""


class Container(Record, frozen=True, kw_only=True):
    """One container (or init container) of a pod, as the kubelet reports it.

    `memory_limit` is the quantity after admission, "" if there is none; `startup_seconds` is the budget of the startup
    probe, 0 without one.
    """

    name: str
    init: bool
    ready: bool = False
    started: bool = False
    restarts: int = 0
    running: bool = False
    waiting_reason: str = ""
    waiting_message: str = ""
    terminated: Terminated | None = None
    last_terminated: Terminated | None = None
    memory_limit: str = ""
    startup_seconds: int = 0


class Pod(Record, frozen=True, kw_only=True):
    """One pod: that of the Job `job`, or a serving pod, for which `revision` is the value of the revision label.

    `created_at` is RFC 3339, `claims` are the volume claims that it mounts. NetworkPolicies select it by `labels`.
    """

    namespace: str
    name: str
    uid: str
    resource_version: int
    deployment: str
    revision: str = ""
    job: str = ""
    created_at: str = ""
    deleting: bool = False
    node: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[ObservedCondition, ...] = ()
    containers: tuple[Container, ...] = ()
    claims: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class PodEvent(Record, frozen=True, kw_only=True):
    """A Kubernetes Event about one pod."""

    type: str
    reason: str
    message: str
