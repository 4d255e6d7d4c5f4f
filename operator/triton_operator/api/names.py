"""Names that the cluster sees: API group, labels, ports and the names of child objects.

Pure constants and functions of a deployment's name; every other package takes its names from here, so that a
label or a port is spelled once. Selectors of Deployments are immutable: the three labels in
`selector_labels` can never change.
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
"""Second field manager: holds a Deployment's `replicas` while an autoscaler decides over it."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_DEPLOYMENT = f"{GROUP}/model-deployment"
LABEL_TRACK = f"{GROUP}/track"
LABEL_REVISION = f"{GROUP}/revision"
"""On pods only, never in a selector: hash of the template that a pod was rendered from, see `resources.revision`."""

LABEL_JOB = "batch.kubernetes.io/job-name"
"""On the pods of a Job, by its controller: the Job's name."""

ANNOTATION_RECIPE = f"{GROUP}/recipe"
"""On a cache's Job: hash of what it was made from, see `resources.cache`."""
ANNOTATION_PREPARATION = f"{GROUP}/preparation"
"""On that Job's pods: what they have to fetch, as JSON."""
ANNOTATION_FILLED = f"{GROUP}/filled"
"""On a cache's claim: "true" once a Job has filled it."""

COMPONENT_SERVER = "server"
COMPONENT_CACHE = "cache"
TRACK_STABLE = "stable"

PORT_HTTP = 8000
PORT_GRPC = 8001
PORT_METRICS = 8002

MODEL_NAME_LENGTH = 63
MODEL_NAME_PATTERN = r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*$"
"""Rules of crds/modeldeployments.yaml for names of models, which is not part of the package; a test keeps them equal.

A name is a folder for Triton and part of a URL for clients, and Triton's Python backend hands it to a shell: one with a
space hangs server 2.51, one beyond ASCII does not load.
"""

CONTAINER_PREPARE = "prepare"
CONTAINER_TRITON = "triton"


def wrong_model_name(name: str) -> str:
    """What is wrong with the name of a model; "" when nothing is."""
    if len(name) > MODEL_NAME_LENGTH:
        return f"has {len(name)} characters, and {MODEL_NAME_LENGTH} are allowed"
    if not re.fullmatch(MODEL_NAME_PATTERN.strip("^$"), name):
        return (
            "use letters from A to Z, digits, '-', '_' and single dots; begin with a letter or digit, and do not end "
            "with a dot"
        )
    return ""


def child_labels(name: str) -> dict[str, str]:
    """Labels that every child of the deployment `name` carries."""
    return {
        LABEL_NAME: "triton",
        LABEL_INSTANCE: name,
        LABEL_MANAGED_BY: MANAGER,
        LABEL_DEPLOYMENT: name,
    }


def selector_labels(name: str) -> dict[str, str]:
    """Labels by which Deployment, Services and policies select the serving pods of `name`."""
    return {LABEL_DEPLOYMENT: name, LABEL_COMPONENT: COMPONENT_SERVER, LABEL_TRACK: TRACK_STABLE}


def headless_service_name(name: str) -> str:
    """Name of the Service without a cluster IP, by which gRPC clients balance over pods themselves."""
    return f"{name}-headless"


def config_map_name(name: str, content: bytes) -> str:
    """Name of the ConfigMap with the model configs; a new content is a new object, so rollbacks find the old."""
    return f"{name}-config-{content_hash(content, 8)}"


def cache_name(name: str, content: bytes) -> str:
    """Name of the claim that keeps this content, of the Job that fills it and of the Job's NetworkPolicy."""
    return f"{name}-cache-{content_hash(content, 8)}"


def revision_name(name: str, content: bytes) -> str:
    """Name of the ControllerRevision that keeps a rendered pod template."""
    return f"{name}-{content_hash(content, 10)}"


def content_hash(content: bytes, length: int) -> str:
    """First `length` hexadecimal digits of the SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()[:length]
