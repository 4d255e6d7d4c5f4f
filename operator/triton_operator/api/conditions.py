"""Condition types and reasons, each documented where it is defined.

Only `reconcile` sets them. Reasons are constants, because alerts and scripts match on them; messages are free text.
"""

from __future__ import annotations

READY = "Ready"
"""The current generation is fully served: every desired replica has every model. Otherwise, the first failing reason.

After a rollback, it is True with the reason RolledBack when the restored pods serve, and Stalled is True as well.
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
"""The deployment makes no progress until a user fixes the cause (kstatus)."""

PRIVACY_ENFORCED = "PrivacyEnforced"
"""Every control that the privacy profile requires is enforced; `status.privacy.controls` lists all of them.

Otherwise, it has the reason of the first one that is not enforced, or else of the first one whose state is unknown.
Absent under profile Open.
"""

SCALING_ACTIVE = "ScalingActive"
"""The autoscaler can compute the number of replicas; the message contains the numbers that it sees.

Absent without `spec.autoscaling`, unless an autoscaler that the operator did not create scales the child Deployment.
"""

EXPOSED = "Exposed"
"""Clients outside the cluster can reach it through an Ingress or a Gateway; absent without `spec.exposure`."""

RUNTIME_VULNERABLE = "RuntimeVulnerable"
"""The release of the server image is below the security floor; Unknown if the release cannot be determined."""


class Reason:
    """Reasons of conditions; each comment describes when the reason is set."""

    SERVING = "Serving"  # Ready=True: every replica has loaded every model.
    ROLLING_OUT = "RollingOut"  # Pods of the current generation are still starting, and no error has occurred.
    ROLLED_BACK = "RolledBack"  # Ready=True: the revision of the spec failed, and pods of an earlier one serve.
    ROLLOUT_PAUSED = "RolloutPaused"  # `spec.rollout.paused` is set, and the rollout is unfinished.
    SUSPENDED = "Suspended"  # `spec.suspend` is set. Ready is True when no pod is left.
    SCALED_TO_ZERO = "ScaledToZero"  # `spec.replicas` is 0. Ready is True when no pod is left.

    ACCEPTED = "Accepted"  # Accepted=True.
    INVALID_SPEC = "InvalidSpec"  # A field is invalid or contradicts another field; the message names its path.
    UNKNOWN_VERSION = "UnknownVersion"  # The image catalogue has no suitable image for `spec.triton.version`.
    NAME_CONFLICT = "NameConflict"  # Another owner's object has the name of a child, and it is not adopted.
    ADOPTION_REFUSED = "AdoptionRefused"  # `spec.adopt` is Matching, but an ownerless child has other content.
    WEBHOOK_FAILED = "WebhookFailed"  # An admission webhook failed, so a child could not be written.
    API_SERVER_ERROR = "APIServerError"  # The API server failed to write a child because of an internal error.
    WAITING_FOR_DELETION = "WaitingForDeletion"  # Children of a deleted deployment with the same name still exist.

    CERTIFICATE_INVALID = "CertificateInvalid"  # There is no valid serving certificate; the message contains the cause.
    CERTIFICATE_PENDING = "CertificatePending"  # cert-manager has not issued the certificate; the message is its own.

    MODEL_NOT_FOUND = "ModelNotFound"  # The repository does not contain the model's folder.
    MODEL_VERSION_NOT_FOUND = "ModelVersionNotFound"  # The folder has no numeric version folder with a model file.
    CONFIG_INVALID = "ConfigInvalid"  # The configuration is missing, does not parse, or contradicts itself.
    PREPARE_FAILED = "PrepareFailed"  # The container `prepare` failed without reporting one of PREPARE_REASONS.
    SOURCE_NOT_FOUND = "SourceNotFound"  # `spec.modelRepository` does not exist; the message contains its URL.
    ACCESS_DENIED = "AccessDenied"  # The source rejects the credentials, or requires credentials.
    SOURCE_UNTRUSTED = "SourceUntrusted"  # The pod does not trust the issuer of the source's certificate.
    SOURCE_UNREACHABLE = "SourceUnreachable"  # The source does not respond, or the connection was interrupted.
    SOURCE_INVALID = "SourceInvalid"  # The content is unusable, such as a corrupt archive or an unsafe path.
    DIGEST_MISMATCH = "DigestMismatch"  # The files do not match the pinned digest; the message contains both digests.
    MODEL_UNSIGNED = "ModelUnsigned"  # The model has no signature, and `spec.verification` requires one.
    SIGNER_UNKNOWN = "SignerUnknown"  # The model was signed with a key that is not in `spec.verification.keys`.
    SIGNATURE_INVALID = "SignatureInvalid"  # The signature is corrupt, or was not made with the key that it names.
    SIGNATURE_OF_OTHER_MODEL = "SignatureOfOtherModel"  # The signature belongs to a model of another name.
    SIGNED_FILE_CHANGED = "SignedFileChanged"  # A file of the model is not the one that was signed.
    SIGNED_FILES_ADDED = "SignedFilesAdded"  # The model's folder contains files that the signature does not cover.
    SIGNED_FILES_MISSING = "SignedFilesMissing"  # Files that were signed are not in the model's folder.
    SIGNED_LINK_FOUND = "SignedLinkFound"  # The folder of a signed model contains a link.
    MODEL_SCAN_REFUSED = "ModelScanRefused"  # The scan found something, and `spec.verification.scan` is Refuse.
    DECRYPTION_KEY_MISSING = "DecryptionKeyMissing"  # The model is encrypted, and `spec.decryption` is not set.
    DECRYPTION_FAILED = "DecryptionFailed"  # The key does not match, or the encrypted files were changed.
    VAULT_DENIED = "VaultDenied"  # The vault denies the login or the use of the key; the message names both.
    VAULT_UNTRUSTED = "VaultUntrusted"  # The pod does not trust the issuer of the vault's certificate.
    VAULT_UNREACHABLE = "VaultUnreachable"  # The vault does not respond, or is sealed.
    PLAINTEXT_TOO_LARGE = "PlaintextTooLarge"  # The decrypted models do not fit into `spec.decryption.memory`.
    OUT_OF_SPACE = "OutOfSpace"  # A volume or a node's disk is full; the message contains the required space.
    CACHING = "Caching"  # A Job fetches the models into the cache; pods are created when it completes.
    MODEL_LOAD_FAILED = "ModelLoadFailed"  # Triton could not load the model; the message is Triton's own.
    WARMUP_FAILED = "WarmupFailed"  # The model was loaded, but a warm-up request failed.
    UNSUPPORTED_BY_IMAGE = "UnsupportedByImage"  # The server image does not have the backend of a format, or a flag.
    SERVER_ARGUMENT_INVALID = "ServerArgumentInvalid"  # Triton or the operator rejects one of the server's arguments.
    IMAGE_PULL_FAILED = (
        "ImagePullFailed"  # An image of the pod cannot be pulled; the message contains the registry's response.
    )
    VOLUME_UNBOUND = "VolumeUnbound"  # The claim exists but is not bound to a volume yet.
    DEPENDENCY_MISSING = "DependencyMissing"  # A claim, Secret or ConfigMap that the pod needs does not exist.
    INSUFFICIENT_GPU = "InsufficientGPU"  # No node has enough free GPUs; the message comes from the scheduler.
    UNSCHEDULABLE = "Unschedulable"  # No node fits for another reason; the message comes from the scheduler.
    QUOTA_EXCEEDED = "QuotaExceeded"  # A ResourceQuota does not allow the pods.
    FORBIDDEN = "Forbidden"  # Admission (Pod Security, a LimitRange or a policy) rejects the pods.
    OUT_OF_MEMORY = "OutOfMemory"  # A container was killed because it ran out of memory.
    CRASHED = "Crashed"  # A container terminated unexpectedly after it had started.
    NODE_LOST = "NodeLost"  # The pod's node is not ready or no longer exists.
    STARTUP_TIMEOUT = "StartupTimeout"  # The server did not become ready within the startup timeout.
    PODS_NOT_READY = "PodsNotReady"  # Pods are not ready, and no more specific reason applies.
    REPLICAS_DIFFER = "ReplicasDiffer"  # Replicas serve different files or configurations of a model.
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"  # The rollout made no progress within the deadline.

    PREPARED = "Prepared"  # ModelsPrepared=True.
    LOADED = "Loaded"  # ModelsLoaded=True.
    SCHEDULED = "Scheduled"  # Scheduled=True.
    WAITING = "Waiting"  # What the condition reports has not been reached, or cannot be determined yet.

    AVAILABLE = "Available"  # Available=True.
    UNAVAILABLE = "Unavailable"  # No pod serves.
    REPLACING_IN_PLACE = "ReplacingInPlace"  # Available=False: the last old pod stopped, so that a new one can start.

    PROGRESSING = "Progressing"  # Reconciling=True.
    SETTLED = "Settled"  # Reconciling=False or Stalled=False.

    ENFORCED = "Enforced"  # PrivacyEnforced=True.
    POLICY_MISSING = "PolicyMissing"  # The NetworkPolicy or the proxy's ConfigMap does not exist in the cluster yet.
    OTHER_POLICY_OPENS_POD = "OtherPolicyOpensPod"  # A NetworkPolicy of others allows traffic to or from the pods.
    NETWORK_NOT_PROVEN = "NetworkNotProven"  # `tritonctl doctor --probe` has not shown that policies are enforced.
    NETWORK_NOT_ENFORCED = "NetworkNotEnforced"  # It has shown that the cluster's network ignores policies.
    CACHE_EGRESS_OPEN = "CacheEgressOpen"  # The cache Job may connect to any address, because none are set.
    NOT_AIR_GAPPED = "NotAirGapped"  # Pods of an earlier spec do not meet the requirements of the profile AirGapped.
    TLS_NOT_CONFIGURED = "TLSNotConfigured"  # Serving pods accept connections without TLS.
    TLS_NOT_VERIFIABLE = "TLSNotVerifiable"  # A service mesh encrypts the traffic, which the operator cannot see.

    SCALING = "Scaling"  # ScalingActive=True.
    SCALING_NOT_READY = "ScalingNotReady"  # The autoscaler has not reported a status yet, or reports an error.
    KEDA_NOT_INSTALLED = "KEDANotInstalled"  # The provider is KEDA, and the cluster has no ScaledObjects.
    METRICS_BLOCKED = "MetricsBlocked"  # KEDA reads the serving pods, and `privacy` allows nobody to read metrics.
    PAUSED = "Paused"  # Somebody has paused the ScaledObject.
    OTHER_AUTOSCALER = "OtherAutoscaler"  # An autoscaler of others scales the child Deployment, not the object.

    EXPOSED = "Exposed"  # Exposed=True.
    ADDRESS_PENDING = "AddressPending"  # No ingress controller has given the Ingresses an address.
    HOST_IN_USE = "HostInUse"  # Another ModelDeployment, in any namespace, already exposes the host.
    GATEWAY_API_NOT_INSTALLED = "GatewayAPINotInstalled"  # The Gateway API is not installed, or is too old.
    ROUTE_PENDING = "RoutePending"  # No controller has reported on the routes for the Gateways in the spec.
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"  # A Gateway does not accept a route; the message is its controller's.
    CALLERS_NOT_NAMED = "CallersNotNamed"  # `spec.exposure` is set, and `spec.privacy.clients` is not.

    PATCHED = "Patched"  # RuntimeVulnerable=False.
    BELOW_SECURITY_FLOOR = "BelowSecurityFloor"  # RuntimeVulnerable=True; the message names the first safe version.
    RELEASE_UNKNOWN = "ReleaseUnknown"  # RuntimeVulnerable=Unknown: the release of a custom image is not known.


_REFUSED_MODELS = frozenset(
    {
        Reason.MODEL_UNSIGNED,
        Reason.SIGNER_UNKNOWN,
        Reason.SIGNATURE_INVALID,
        Reason.SIGNATURE_OF_OTHER_MODEL,
        Reason.SIGNED_FILE_CHANGED,
        Reason.SIGNED_FILES_ADDED,
        Reason.SIGNED_FILES_MISSING,
        Reason.SIGNED_LINK_FOUND,
        Reason.MODEL_SCAN_REFUSED,
        Reason.DECRYPTION_KEY_MISSING,
        Reason.DECRYPTION_FAILED,
        Reason.VAULT_DENIED,
        Reason.VAULT_UNTRUSTED,
        Reason.PLAINTEXT_TOO_LARGE,
    }
)
"""Models that `prepare` rejects because of their signature, their encryption or what the scan found."""

PREPARE_REASONS = _REFUSED_MODELS | frozenset(
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
        Reason.VAULT_UNREACHABLE,
        Reason.DIGEST_MISMATCH,
        Reason.OUT_OF_SPACE,
        Reason.PREPARE_FAILED,
    }
)
"""Reasons that `prepare` may report. Any other reason becomes PrepareFailed, and the message contains it."""

TERMINAL = _REFUSED_MODELS | frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.UNKNOWN_VERSION,
        Reason.NAME_CONFLICT,
        Reason.ADOPTION_REFUSED,
        Reason.CERTIFICATE_INVALID,
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
        Reason.ROLLED_BACK,
        Reason.REPLICAS_DIFFER,
    }
)
"""Reasons that persist until a user fixes the cause: Stalled=True.

Reasons that may resolve when the cluster changes (image pulls, volumes, restarts, free GPUs) are not included.
"""
