"""Names used in the cluster: API group, labels, ports and the names of child objects.

This module contains constants and pure functions of a deployment's name. Every other package imports them, so each
label and port is defined once. Selectors of Deployments are immutable, so the three labels in `selector_labels` can
never change.
"""

from __future__ import annotations

import hashlib
import re

GROUP = "triton-operator.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"

MANAGER = "triton-operator"
"""Field manager of server-side apply and value of `app.kubernetes.io/managed-by`."""

SCALE_MANAGER = "triton-operator-scale"
"""Second field manager: owns `replicas` while an autoscaler manages them."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
"""On objects that several deployments share. They do not have LABEL_MANAGED_BY, which selects the watched children."""
LABEL_DEPLOYMENT = f"{GROUP}/model-deployment"
LABEL_TRACK = f"{GROUP}/track"
LABEL_REVISION = f"{GROUP}/revision"
"""On pods, never in a selector: the hash of the pod template, see `resources.revision`."""

LABEL_JOB = "batch.kubernetes.io/job-name"
"""Set by the Job controller on a Job's pods: the Job's name."""

ANNOTATION_RECIPE = f"{GROUP}/recipe"
"""On a cache Job: the spec hash, see `resources.cache_content`."""
ANNOTATION_PREPARATION = f"{GROUP}/preparation"
"""On that Job's pods: the download request, as JSON."""
ANNOTATION_FILLED = f"{GROUP}/filled"
"""On a cache's claim: "true" once a Job has filled it."""
ANNOTATION_ROTATE = f"{GROUP}/rotate"
"""On the authority's Secret: a person requests a rotation, see `certificates.rotation`."""

ANNOTATION_POLICY = f"{GROUP}/proxy-policy"
"""On serving pods with the sidecar `proxy`: the hash of the policy that the kubelet was last asked to mount."""

ANNOTATION_RESTARTED = f"{GROUP}/restarted-at"
"""On serving pods: the value of `spec.rollout.restartedAt`, if it is set."""

ANNOTATION_FAILED_REVISION = f"{GROUP}/failed-revision"
ANNOTATION_RESTORED_REVISION = f"{GROUP}/restored-revision"
"""On the Deployment after a rollback: the ControllerRevisions that failed and that it runs instead."""

ANNOTATION_CANARY = f"{GROUP}/canary"
"""On the Deployment of a canary: its progress, see `reconcile.canary`."""
ANNOTATION_CANARY_FAILURE = f"{GROUP}/canary-failure"
"""On the Deployment after a canary was aborted, together with those of a rollback: why."""

COMPONENT_SERVER = "server"
COMPONENT_CACHE = "cache"
TRACK_STABLE = "stable"
TRACK_CANARY = "canary"

PORT_HTTP = 8000
PORT_GRPC = 8001
PORT_METRICS = 8002
PORT_HEALTH = 8003
"""Health checks of the kubelet, without TLS; only with the sidecar `proxy`, on the pod's address, in no Service."""
PORT_HTTPS = 8443
"""HTTP/1.1 and gRPC with TLS, only with the sidecar `proxy`."""

MODEL_NAME_LENGTH = 63
MODEL_NAME_PATTERN = r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*$"
"""Rules for model names. The CRD has the same rules; a test compares them.

Triton uses a name as a folder, clients use it in a URL, and Triton's Python backend passes it to a shell: a name with a
space makes server 2.51 hang, and a non-ASCII name does not load.
"""

CONTAINER_PREPARE = "prepare"
CONTAINER_TRITON = "triton"
CONTAINER_PROXY = "proxy"

CA_CONFIG_MAP = "triton-operator-ca"
"""ConfigMap of each namespace with Managed certificates: the CA bundle that clients trust."""
CA_KEY = "ca.crt"
"""The key of CA_CONFIG_MAP: PEM, with the current authority first and, during a rotation, the previous one after it."""
SERVING_SECRET = "triton-operator-serving"  # noqa: S105 -- a name
"""Secret of each namespace with the Managed certificates: `<name>.crt` and `<name>.key` of each deployment."""
AUTHORITY_SECRET = "triton-operator-authority"  # noqa: S105 -- a name
"""Secret of the operator's namespace with the authority's key."""

NETWORK_PROBE = "triton-operator-network-probe"
"""ConfigMap of the operator's namespace with the last result of `tritonctl doctor --probe`."""


def wrong_model_name(name: str) -> str:
    """Return the problem with a model name, or ""."""
    if len(name) > MODEL_NAME_LENGTH:
        return f"has {len(name)} characters; at most {MODEL_NAME_LENGTH} are allowed"
    if not re.fullmatch(MODEL_NAME_PATTERN.strip("^$"), name):
        return (
            "use letters from A to Z, digits, '-', '_' and single dots; begin with a letter or digit, and do not end "
            "with a dot"
        )
    return ""


def child_labels(name: str) -> dict[str, str]:
    """Labels that every child of the deployment `name` has."""
    return {
        LABEL_NAME: "triton",
        LABEL_INSTANCE: name,
        LABEL_MANAGED_BY: MANAGER,
        LABEL_DEPLOYMENT: name,
    }


def selector_labels(name: str, track: str = TRACK_STABLE) -> dict[str, str]:
    """Labels that the Deployment, the Services and the policies use to select the serving pods of `name`."""
    return {**all_tracks(name), LABEL_TRACK: track}


def all_tracks(name: str) -> dict[str, str]:
    """Labels that select the pods of a canary, too."""
    return {LABEL_DEPLOYMENT: name, LABEL_COMPONENT: COMPONENT_SERVER}


def serving_labels(name: str, *, with_canary: bool) -> dict[str, str]:
    """Labels by which the Services, the budget and the policy select pods."""
    return all_tracks(name) if with_canary else selector_labels(name)


def canary_name(name: str) -> str:
    """Name of the Deployment of a canary."""
    return f"{name}-canary"


def headless_service_name(name: str) -> str:
    """Name of the Service without a cluster IP, for client-side load balancing."""
    return f"{name}-headless"


def proxy_config_name(name: str) -> str:
    """Name of the ConfigMap with the proxy's policy, which changes in place."""
    return f"{name}-proxy"


def certificate_name(name: str) -> str:
    """Name of the Certificate of TLS mode CertManager, and of the Secret that cert-manager writes for it."""
    return f"{name}-tls"


def ingress_name(name: str, protocol: str) -> str:
    """Name of the Ingress of a protocol, `http` or `grpc`."""
    return f"{name}-{protocol}"


def serving_certificate_key(name: str) -> str:
    """The key under which SERVING_SECRET stores the deployment's certificate with its chain."""
    return f"{name}.crt"


def serving_private_key_key(name: str) -> str:
    """The key under which SERVING_SECRET stores the private key of the certificate."""
    return f"{name}.key"


def audience(namespace: str, name: str) -> str:
    """The audience (`aud`) of tokens that are meant for this deployment only."""
    return f"{PLURAL}.{GROUP}/{namespace}/{name}"


def token_issuer(namespace: str, name: str, client: str) -> str:
    """The issuer (`iss`) of the tokens of `tritonctl token` for one caller; its keys are not valid for others."""
    return f"{GROUP}/tokens/{namespace}/{name}/{client}"


def server_name(namespace: str, name: str) -> str:
    """The DNS name of the Service, which clients verify in the certificate."""
    return f"{name}.{namespace}.svc"


def config_map_name(name: str, content: bytes) -> str:
    """Name of the ConfigMap with the model configs.

    Changed content gets a new name, so a rollback finds the old object.
    """
    return f"{name}-config-{content_hash(content, 8)}"


def cache_name(name: str, content: bytes) -> str:
    """Name of the claim that stores this content, of the Job that fills it and of the Job's NetworkPolicy."""
    return f"{name}-cache-{content_hash(content, 8)}"


def revision_name(name: str, content: bytes) -> str:
    """Name of the ControllerRevision that stores a rendered pod template."""
    return f"{name}-{content_hash(content, 10)}"


def content_hash(content: bytes, length: int) -> str:
    """First `length` hexadecimal digits of the SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()[:length]
