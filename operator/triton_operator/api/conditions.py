"""Condition types and reasons, each documented where it is defined.

Only `reconcile` sets them. Reasons are constants, because alerts and scripts match on them; messages are free text.
"""

from __future__ import annotations

READY = "Ready"
"""The current generation is fully served: every desired replica has every model. Otherwise, the first failing reason.

If the user requests no replicas (`suspend`, `replicas: 0`), it is True when no pod is left, and `Available` is False.
"""

AVAILABLE = "Available"
"""At least one pod serves, including pods of old revisions. It does not flap during a rolling update."""

ACCEPTED = "Accepted"
"""The spec is valid and its child objects could be created."""

# The next three are Unknown as long as there is no pod of the current generation.

MODELS_PREPARED = "ModelsPrepared"
"""The newest pods have prepared every model."""

SCHEDULED = "Scheduled"
"""Every newest pod has a node."""

MODELS_LOADED = "ModelsLoaded"
"""Triton in the newest pods has loaded every model. Containers added by others are not considered."""

RECONCILING = "Reconciling"
"""The operator is working towards the current generation (kstatus)."""

STALLED = "Stalled"
"""The deployment makes no progress until a person acts (kstatus)."""

PRIVACY_ENFORCED = "PrivacyEnforced"
"""Every control of the privacy profile is in force. Absent under profile Open."""

SCALING_ACTIVE = "ScalingActive"
"""The autoscaler works. Absent without `spec.autoscaling`."""

RUNTIME_VULNERABLE = "RuntimeVulnerable"
"""The server image is below the security floor; Unknown if its release is not known."""


class Reason:
    """Reasons of conditions; each comment describes when the reason is set."""

    SERVING = "Serving"  # Ready=True: all replicas have all models.
    ROLLING_OUT = "RollingOut"  # Pods of the current generation are still coming up and nothing is wrong yet.
    SUSPENDED = "Suspended"  # `spec.suspend` is set. Ready is True when no pod is left.
    SCALED_TO_ZERO = "ScaledToZero"  # `spec.replicas` is 0. Ready is True when no pod is left.

    ACCEPTED = "Accepted"  # Accepted=True.
    INVALID_SPEC = "InvalidSpec"  # A field contradicts another one; the message names its path.
    UNKNOWN_VERSION = "UnknownVersion"  # `spec.triton.version` names no image of the catalogue.
    NAME_CONFLICT = "NameConflict"  # An object that is not ours bears a child's name; it is never taken over.
    WEBHOOK_FAILED = "WebhookFailed"  # An admission webhook fails, so that a child cannot be written.
    API_SERVER_ERROR = "APIServerError"  # The API server fails to write a child for a cause of its own.
    WAITING_FOR_DELETION = "WaitingForDeletion"  # A deleted namesake's children are still being collected.

    MODEL_NOT_FOUND = "ModelNotFound"  # The model's folder is not in the repository.
    MODEL_VERSION_NOT_FOUND = "ModelVersionNotFound"  # The folder has no numbered version with a model file.
    CONFIG_INVALID = "ConfigInvalid"  # A configuration does not parse or contradicts, or nothing tells one.
    PREPARE_FAILED = "PrepareFailed"  # The prepare container failed without a reason that is known here.
    SOURCE_NOT_FOUND = "SourceNotFound"  # Nothing is where spec.modelRepository says; the URL is in the message.
    ACCESS_DENIED = "AccessDenied"  # The source refuses the credentials, or asks for some.
    SOURCE_UNTRUSTED = "SourceUntrusted"  # The source's certificate is signed by nobody that the pod trusts.
    SOURCE_UNREACHABLE = "SourceUnreachable"  # The source does not answer, or broke off.
    SOURCE_INVALID = "SourceInvalid"  # What the source holds cannot be used: a broken archive, a name that climbs out.
    DIGEST_MISMATCH = "DigestMismatch"  # The files do not match the pinned digest; the message has both digests.
    OUT_OF_SPACE = "OutOfSpace"  # A volume or a node's disk is full; the message tells what was needed.
    CACHING = "Caching"  # A Job fetches the models into the cache; pods are made when it is done.
    MODEL_LOAD_FAILED = "ModelLoadFailed"  # Triton refused the model; the message is Triton's own sentence.
    WARMUP_FAILED = "WarmupFailed"  # The model was loaded and failed the first request, Triton's own warm-up.
    UNSUPPORTED_BY_IMAGE = "UnsupportedByImage"  # The server image lacks a format's backend, or a flag.
    SERVER_ARGUMENT_INVALID = "ServerArgumentInvalid"  # Triton, or its release, does not take one of the arguments.
    IMAGE_PULL_FAILED = (
        "ImagePullFailed"  # An image of the pod cannot be pulled; the message has the registry's answer.
    )
    VOLUME_UNBOUND = "VolumeUnbound"  # The claim exists and has no volume yet.
    DEPENDENCY_MISSING = "DependencyMissing"  # A claim, Secret or ConfigMap that the pod needs does not exist.
    INSUFFICIENT_GPU = "InsufficientGPU"  # No node has enough free GPUs; the message is the scheduler's.
    UNSCHEDULABLE = "Unschedulable"  # No node fits for another cause; the message is the scheduler's.
    QUOTA_EXCEEDED = "QuotaExceeded"  # A ResourceQuota refuses the pods.
    FORBIDDEN = "Forbidden"  # Admission (Pod Security, LimitRange, a policy) refuses the pods.
    OUT_OF_MEMORY = "OutOfMemory"  # A container was killed for memory.
    CRASHED = "Crashed"  # A container terminated after it had started.
    NODE_LOST = "NodeLost"  # The pod's node has stopped reporting, or is gone.
    STARTUP_TIMEOUT = "StartupTimeout"  # The startup probe's budget ran out.
    PODS_NOT_READY = "PodsNotReady"  # Pods are not ready, for a cause that has no reason of its own or is not known.
    REPLICAS_DIFFER = "ReplicasDiffer"  # Replicas serve different files or configurations of a model.
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"  # The rollout made no progress in its time.

    PREPARED = "Prepared"  # ModelsPrepared=True.
    LOADED = "Loaded"  # ModelsLoaded=True.
    SCHEDULED = "Scheduled"  # Scheduled=True.
    WAITING = "Waiting"  # An earlier stage is not done yet.

    AVAILABLE = "Available"  # Available=True.
    UNAVAILABLE = "Unavailable"  # No pod serves.
    REPLACING_IN_PLACE = "ReplacingInPlace"  # Available=False: the old pod had to go before the new one can start.

    PROGRESSING = "Progressing"  # Reconciling=True.
    SETTLED = "Settled"  # Reconciling=False or Stalled=False.

    TLS_NOT_CONFIGURED = "TLSNotConfigured"  # The profile asks for TLS and none is set up.
    POLICY_MISSING = "PolicyMissing"  # The NetworkPolicy is not in the cluster yet.

    CACHE_EGRESS_OPEN = "CacheEgressOpen"  # The cache's Job may connect to any address: none are named.

    SCALING = "Scaling"  # ScalingActive=True.
    SCALING_NOT_READY = "ScalingNotReady"  # The autoscaler has not reported yet, or reports an error.

    PATCHED = "Patched"  # RuntimeVulnerable=False.
    BELOW_SECURITY_FLOOR = "BelowSecurityFloor"  # RuntimeVulnerable=True; the message names the first safe version.
    VERSION_UNKNOWN = "VersionUnknown"  # RuntimeVulnerable=Unknown: an own image without a stated version.


PREPARE_REASONS = frozenset(
    {
        Reason.MODEL_NOT_FOUND,
        Reason.MODEL_VERSION_NOT_FOUND,
        Reason.CONFIG_INVALID,
        Reason.UNSUPPORTED_BY_IMAGE,
        Reason.DEPENDENCY_MISSING,
        Reason.SOURCE_NOT_FOUND,
        Reason.ACCESS_DENIED,
        Reason.SOURCE_UNTRUSTED,
        Reason.SOURCE_UNREACHABLE,
        Reason.SOURCE_INVALID,
        Reason.DIGEST_MISMATCH,
        Reason.OUT_OF_SPACE,
        Reason.PREPARE_FAILED,
    }
)
"""Reasons that `prepare` may report. Any other reason in its outcome is reported as PrepareFailed, with the word."""

TERMINAL = frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.UNKNOWN_VERSION,
        Reason.NAME_CONFLICT,
        Reason.MODEL_NOT_FOUND,
        Reason.MODEL_VERSION_NOT_FOUND,
        Reason.CONFIG_INVALID,
        Reason.SOURCE_NOT_FOUND,
        Reason.ACCESS_DENIED,
        Reason.SOURCE_UNTRUSTED,
        Reason.SOURCE_INVALID,
        Reason.DIGEST_MISMATCH,
        Reason.MODEL_LOAD_FAILED,
        Reason.WARMUP_FAILED,
        Reason.UNSUPPORTED_BY_IMAGE,
        Reason.SERVER_ARGUMENT_INVALID,
        Reason.FORBIDDEN,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
        Reason.REPLICAS_DIFFER,
    }
)
"""Reasons that stay until a person acts: Stalled=True.

Reasons that may resolve when the cluster changes (image pulls, volumes, restarts, free GPUs) are not included.
"""
