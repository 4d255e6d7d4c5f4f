"""The types of a ModelDeployment's status.

`reconcile` derives the whole status in each pass, `cluster` writes it, and the CLI and the SDK read it. Conditions
follow the Kubernetes API conventions: there is one per type, and `last_transition_time` changes only with `status`.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.scan import ScanResult
from triton_operator.api.struct import Struct


class Truth(StrEnum):
    """The status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Struct, frozen=True, omit_defaults=False):
    """One condition of the deployment; `message` is human-readable.

    All fields are written, because `metav1.Condition` requires a message and a time even if they are empty.
    """

    type: str
    status: Truth
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class ModelState(StrEnum):
    """The state of one model in the newest pods; Mixed means that the pods have different files or configurations."""

    PENDING = "Pending"
    PREPARED = "Prepared"
    READY = "Ready"
    FAILED = "Failed"
    MIXED = "Mixed"


class ModelStatus(Struct, frozen=True):
    """The status of one model: the versions that Triton can load, the digest of its files, and the error, if any.

    `signed_by` is the name of the key in `spec.verification.keys` that signed it. `scan` is the result of the scan of
    its files, None if they were not scanned.
    """

    name: str
    state: ModelState
    versions: tuple[str, ...] = ()
    digest: str = ""
    signed_by: str = ""
    scan: ScanResult | None = None
    message: str = ""


class CABundleRef(Struct, frozen=True):
    """The key of a ConfigMap of the deployment's namespace with the authorities that sign its serving certificate."""

    name: str
    key: str


class Endpoints(Struct, frozen=True):
    """Addresses of the deployment: those of a load balancer in `external`, and inside the cluster in the others.

    With TLS, `https` serves HTTP and gRPC, and `http` and `grpc` are empty. `ca_bundle_ref` is None if the authority is
    the user's own. `audience` is that of tokens for this deployment, "" if callers need none. `external` has URLs with
    the schemes http, grpc and https.
    """

    http: str = ""
    grpc: str = ""
    metrics: str = ""
    https: str = ""
    ca_bundle_ref: CABundleRef | None = None
    audience: str = ""
    external: tuple[str, ...] = ()


class ControlState(StrEnum):
    """Whether a privacy control is in force; Unknown means that the operator cannot see it."""

    ENFORCED = "Enforced"
    NOT_ENFORCED = "NotEnforced"
    UNKNOWN = "Unknown"


class ControlName(StrEnum):
    """The privacy controls, in the order in which they are shown; the comments say when each is enforced."""

    NETWORK_POLICY = "NetworkPolicy"  # The deployment's NetworkPolicy exists.
    OTHER_POLICIES = "OtherPolicies"  # No other NetworkPolicy selects the pods and allows traffic.
    NETWORK_ENFORCEMENT = "NetworkEnforcement"  # `tritonctl doctor --probe` has shown that policies take effect.
    CACHE_EGRESS = "CacheEgress"  # The Job that fills the cache may only connect to named addresses.
    VAULT_EGRESS = "VaultEgress"  # Serving pods may only connect to the named peers of a vault, and to DNS if needed.
    TLS = "TLS"  # Every serving pod terminates TLS.
    CALLERS = "Callers"  # The callers in `spec.privacy.clients`, if it is set, are checked.
    EXPOSURE = "Exposure"  # Callers from outside the cluster are checked; only with `spec.exposure`.
    AUDIT = "Audit"  # Requests are logged, without their content.
    ADMIN_APIS = "AdminApis"  # Triton's administration APIs are closed.
    MODEL_SOURCES = "ModelSources"  # All pods serve signed models of local sources; only under AirGapped.
    IMAGES_BY_DIGEST = "ImagesByDigest"  # All images of the pods are given by digest.
    SERVER_RELEASE = "ServerRelease"  # The server's release has no known vulnerability.


class Control(Struct, frozen=True):
    """One privacy control; `message` says what enforces it, or what is missing.

    Only controls that the profile requires (`required`) affect the condition PrivacyEnforced. `last_transition_time`
    changes only with `state`.
    """

    name: str
    state: ControlState
    message: str = ""
    required: bool = True
    last_transition_time: str = ""


class PrivacyStatus(Struct, frozen=True):
    """The controls of the profile, which the condition PrivacyEnforced summarizes."""

    controls: tuple[Control, ...] = ()


class CacheState(StrEnum):
    """The state of the cache; Waiting means that no Job fills it, for example while the deployment is suspended."""

    WAITING = "Waiting"
    FILLING = "Filling"
    FILLED = "Filled"
    FAILED = "Failed"


class CacheStatus(Struct, frozen=True):
    """The claim that the current spec requests; `since` is the time of its last state change (RFC 3339)."""

    claim_name: str
    state: CacheState
    since: str = ""


class RevisionStatus(Struct, frozen=True):
    """One rendered pod template that is current or still has pods."""

    name: str
    generation: int = 0
    image: str = ""
    ready: int = 0
    current: bool = False


class RolloutMethod(StrEnum):
    """The order in which a rollout starts and stops pods: Surge starts a new one first."""

    SURGE = "Surge"
    IN_PLACE = "InPlace"


class Rollback(Struct, frozen=True):
    """The pods are not those of the spec: its revision failed. Both are names of ControllerRevisions."""

    failed_revision: str
    restored_revision: str
    message: str = ""


class CanaryPhase(StrEnum):
    """The state of a canary; Paused waits for a person, Skipped means that all pods are replaced without one."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    PROMOTING = "Promoting"
    ABORTED = "Aborted"
    SKIPPED = "Skipped"


class CanaryStatus(Struct, frozen=True):
    """A canary: the ControllerRevision that it tries, the number of its step, and its actual share in percent."""

    phase: CanaryPhase
    revision: str = ""
    step: int = 0
    weight: int = 0
    message: str = ""


class RolloutStatus(Struct, frozen=True):
    """A rollout that has not finished; `message` reports why it uses this method, "" if the spec requests it.

    After a rollback that has finished, `method` is None.
    """

    method: RolloutMethod | None = None
    message: str = ""
    rollback: Rollback | None = None
    canary: CanaryStatus | None = None


class UpgradeState(StrEnum):
    """The state of an update to the rendering of the running operator; Failed stops the updates of others."""

    WAITING = "Waiting"
    UPDATING = "Updating"
    FAILED = "Failed"


class UpgradeStatus(Struct, frozen=True):
    """An update to the rendering of the running operator that has not finished; `message` is human-readable."""

    state: UpgradeState
    message: str = ""


class Failure(Struct, frozen=True):
    """The last failure of a serving pod, kept after recovery."""

    pod: str
    container: str
    reason: str
    exit_code: int | None = None
    message: str = ""
    time: str = ""


class Status(Struct, frozen=True, omit_defaults=False):
    """The last observed state; `observed_generation` is the generation of the spec that it describes.

    `last_ready_revision` is the ControllerRevision whose pods were Ready last, "" before the first one.
    """

    observed_generation: int
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    selector: str = ""
    models: tuple[ModelStatus, ...] = ()
    endpoints: Endpoints = Endpoints()
    revisions: tuple[RevisionStatus, ...] = ()
    last_ready_revision: str = ""
    rollout: RolloutStatus | None = None
    upgrade: UpgradeStatus | None = None
    cache: CacheStatus | None = None
    privacy: PrivacyStatus | None = None
    last_failure: Failure | None = None
    conditions: tuple[Condition, ...] = ()
