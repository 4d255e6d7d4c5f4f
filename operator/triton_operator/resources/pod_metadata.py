"""Labels and annotations of the pods: those of the operator and those of the user, and which ones are rejected.

Pure. Input: a deployment. Output: the metadata of a pod template, and the Problems of `spec.podLabels` and
`spec.podAnnotations`. The CRD has the same patterns. Annotations configure whatever else runs in the cluster, so
private profiles reject those that are known to give a pod another network or other containers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from triton_operator.api.errors import Problem
from triton_operator.api.spec import Spec
from triton_operator.resources.metadata import Manifest

RESERVED = r"^(.+[.])?(kubernetes|k8s|triton-operator)[.]io/"
"""Keys of Kubernetes and of the operator. Selectors, controllers, the kubelet and the operator rely on them."""
SET_BY_CONTROLLERS = r"^(pod-template-hash|pod-template-generation|controller-revision-hash|controller-uid|job-name)$"
"""Labels without a domain that controllers of Kubernetes use to identify their pods."""
LABELS_OF_USERS = ("app.kubernetes.io/part-of", "app.kubernetes.io/version")
"""Labels of Kubernetes that the operator does not set."""
ANNOTATIONS_OF_USERS = (
    r"^((cluster-autoscaler|descheduler[.]alpha)[.]kubernetes[.]io/.*|kubernetes[.]io/(ingress|egress)-bandwidth|"
    r"kubectl[.]kubernetes[.]io/default-(logs-)?container)$"
)
"""Annotations of Kubernetes that are meant for users and do not weaken the pod."""

NETWORKS = (
    r"^([^/]*[.])?(cni[.]cncf[.]io|multus-cni[.]io|networking[.]gke[.]io|ovn[.]org|projectcalico[.]org|cilium[.]io|"
    r"antrea[.]io|tke[.]cloud[.]tencent[.]com)/"
)
"""Annotations of network plugins. A NetworkPolicy does not apply to an additional network interface."""
INJECTION = (
    r"^(sidecar[.]istio[.]io/(proxyImage|userVolume|userVolumeMount|bootstrapOverride)|proxy[.]istio[.]io/overrides|"
    r"inject[.]istio[.]io/templates|config[.]linkerd[.]io/((proxy|init|debug)-image|enable-debug-sidecar)|"
    r"dapr[.]io/.*|vault[.]hashicorp[.]com/agent-.*|(instrumentation|sidecar)[.]opentelemetry[.]io/.*)$"
)
"""Annotations that make an injector add containers with another image, volumes, or permission to read traffic.

Injected containers can mount the volumes of Triton, with the decrypted models, and change its environment.
"""

RUNTIMES = (
    r"^(io[.](containerd|katacontainers|kubernetes[.]cri(-o)?)[./]|dev[.]gvisor[.]|run[.]oci[.]|"
    r"([^/]*[.])?(nri[.](containerd[.])?io|noderesource[.]dev)/)"
)
"""Annotations of container runtimes and their plugins, such as devices, mounts and user namespaces.

No field of the pod shows their effect.
"""

_RUNTIMES = "can give the pod devices or privileges of the container runtime; remove it"
RESERVED_MESSAGE = "is reserved for Kubernetes and the operator; remove it"
_NETWORKS = "configures the pod's network, on which the profile relies; only the profile Open allows it"
_INJECTION = "adds a container or a volume to the pod that the profile does not check; only the profile Open allows it"


def pod_metadata(spec: Spec, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> Manifest:
    """The metadata of a pod template: the operator's `labels` and `annotations`, and those of the user."""
    metadata: Manifest = {"labels": {**spec.pod_labels, **labels}}
    if merged := {**spec.pod_annotations, **(annotations or {})}:
        metadata["annotations"] = merged
    return metadata


def find_metadata_problems(spec: Spec) -> Iterator[Problem]:
    """Every label and annotation that the user must not set."""
    private = spec.privacy.profile.is_private
    metadata = spec.pod_template.metadata
    yield from _wrong_labels(spec.pod_labels, "spec.podLabels")
    yield from _wrong_annotations(spec.pod_annotations, "spec.podAnnotations", private=private)
    yield from _wrong_labels(metadata.labels, "spec.podTemplate.metadata.labels")
    yield from _wrong_annotations(metadata.annotations, "spec.podTemplate.metadata.annotations", private=private)


def _wrong_labels(labels: Iterable[str], path: str) -> Iterator[Problem]:
    for key in labels:
        if is_reserved_label(key):
            yield Problem(f"{path}[{key}]", RESERVED_MESSAGE)


def _wrong_annotations(annotations: Iterable[str], path: str, *, private: bool) -> Iterator[Problem]:
    for key in annotations:
        if message := _why_rejected(key, private=private):
            yield Problem(f"{path}[{key}]", message)


def is_reserved_label(key: str) -> bool:
    """Whether the key of a label belongs to Kubernetes or the operator."""
    return key not in LABELS_OF_USERS and bool(re.search(RESERVED, key) or re.search(SET_BY_CONTROLLERS, key))


def _why_rejected(key: str, *, private: bool) -> str:
    if re.search(RESERVED, key) and not re.search(ANNOTATIONS_OF_USERS, key):
        return RESERVED_MESSAGE
    if re.search(RUNTIMES, key):
        return _RUNTIMES
    if private and re.search(NETWORKS, key):
        return _NETWORKS
    if private and re.search(INJECTION, key):
        return _INJECTION
    return ""
