"""The user's labels and annotations of pods: where they are rendered, and which ones are rejected."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.builders import SETTINGS, a_deployment
from tests.paths import ROOT
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.names import ANNOTATION_PREPARATION, LABEL_JOB, child_labels, selector_labels
from triton_operator.reconcile.validate import validate
from triton_operator.resources import pod_metadata as rules
from triton_operator.resources.build import render
from triton_operator.resources.cache_content import recipe

CRD: dict[str, Any] = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
OPEN = {"profile": "Open"}
LABELS = {"cost-center": "vision", "app.kubernetes.io/part-of": "shop", "kueue.x-k8s.io/queue-name": "gpus"}
ANNOTATIONS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "linkerd.io/inject": "enabled"}
FETCHED: dict[str, Any] = {"modelRepository": {"s3": {"bucket": "models"}}, "cache": {"size": "1Gi"}}


def _metadata(kind: str, **spec: Any) -> dict[str, Any]:
    """The metadata of the pods of a Deployment or Job."""
    (child,) = (each for each in render(a_deployment(**spec), SETTINGS) if each["kind"] == kind)
    kubernetes_validate.validate(child, "1.35", strict=True)
    metadata: dict[str, Any] = child["spec"]["template"]["metadata"]
    return metadata


def _refusal(**spec: Any) -> str:
    with pytest.raises(InvalidSpecError) as refused:
        validate(a_deployment(**spec).spec)
    return str(refused.value)


def test_serving_pods_have_them_in_addition_to_those_of_the_operator() -> None:
    metadata = _metadata("Deployment", podLabels=LABELS, podAnnotations=ANNOTATIONS)
    assert metadata["labels"].items() >= (LABELS | child_labels("digits") | selector_labels("digits")).items()
    assert metadata["annotations"] == ANNOTATIONS


def test_the_pods_that_fill_a_cache_have_them_too() -> None:
    """An admission policy that requires a label also applies to them; a failed Job is created again with it."""
    metadata = _metadata("Job", podLabels=LABELS, podAnnotations=ANNOTATIONS, **FETCHED)
    assert metadata["labels"].items() >= LABELS.items()
    assert metadata["annotations"].keys() == {ANNOTATION_PREPARATION, *ANNOTATIONS}
    assert recipe(a_deployment(**FETCHED).spec) != recipe(a_deployment(**FETCHED, podLabels=LABELS).spec)


def test_without_any_the_template_has_no_annotations() -> None:
    assert "annotations" not in _metadata("Deployment", podLabels={}, podAnnotations={})


def test_all_reserved_keys_are_rejected_at_once() -> None:
    message = _refusal(
        podLabels={"pod-template-hash": "1", "team": "a", "triton-operator.io/track": "stable"},
        podAnnotations={"container.apparmor.security.beta.kubernetes.io/triton": "unconfined", "note": "a"},
    )
    assert message.startswith("spec.podLabels[pod-template-hash]: is reserved for Kubernetes and the operator")
    assert "spec.podLabels[triton-operator.io/track]: is reserved" in message
    assert "spec.podAnnotations[container.apparmor.security.beta.kubernetes.io/triton]: is reserved" in message
    assert "team" not in message
    assert "note" not in message


@pytest.mark.parametrize("key", [*child_labels("a"), *selector_labels("a"), LABEL_JOB, "job-name", "k8s.io/x"])
def test_no_label_by_which_pods_are_selected_can_be_set(key: str) -> None:
    assert f"spec.podLabels[{key}]: is reserved" in _refusal(podLabels={key: "x"}, privacy=OPEN)


@pytest.mark.parametrize(
    "key", [*LABELS, "example.com/job-name", "mykubernetes.io/x", "topology", "azure.workload/use"]
)
def test_other_labels_are_allowed(key: str) -> None:
    validate(a_deployment(podLabels={key: "x"}).spec)


@pytest.mark.parametrize(
    "key",
    [
        "k8s.v1.cni.cncf.io/networks",
        "v1.multus-cni.io/default-network",
        "networking.gke.io/interfaces",
        "k8s.ovn.org/pod-networks",
        "sidecar.istio.io/proxyImage",
        "sidecar.istio.io/userVolume",
        "config.linkerd.io/enable-debug-sidecar",
        "ipam.antrea.io/ippools",
        "tke.cloud.tencent.com/networks",
        "sidecar.istio.io/bootstrapOverride",
        "inject.istio.io/templates",
        "dapr.io/volume-mounts",
        "dapr.io/sidecar-image",
        "vault.hashicorp.com/agent-copy-volume-mounts",
        "instrumentation.opentelemetry.io/inject-python",
        "sidecar.opentelemetry.io/inject",
    ],
)
@pytest.mark.parametrize("profile", ["Private", "AirGapped"])
def test_private_profiles_reject_other_networks_images_and_volumes(key: str, profile: str) -> None:
    """A NetworkPolicy does not apply to a second network, and the profile does not check injected images."""
    assert f"spec.podAnnotations[{key}]: " in _refusal(podAnnotations={key: "x"}, privacy={"profile": profile})
    validate(a_deployment(podAnnotations={key: "x"}, privacy=OPEN).spec)


@pytest.mark.parametrize(
    "key",
    [
        "io.katacontainers.config.hypervisor.kernel_params",
        "devices.nri.containerd.io/container.triton",
        "mounts.nri.io/container.triton",
        "devices.noderesource.dev/container.triton",
        "dev.gvisor.spec.mount.cache.share",
        "run.oci.keep_original_groups",
    ],
)
def test_no_profile_allows_annotations_of_container_runtimes(key: str) -> None:
    """The runtime gives devices, mounts or privileges that no field of the pod shows."""
    assert f"spec.podAnnotations[{key}]: can give" in _refusal(podAnnotations={key: "x"}, privacy=OPEN)


@pytest.mark.parametrize("key", ["dev.gvisor-docs/a", "example.com/antrea", "vault.hashicorp.com/role", "mydapr.io/a"])
def test_similar_annotations_are_allowed(key: str) -> None:
    validate(a_deployment(podAnnotations={key: "x"}).spec)


@pytest.mark.parametrize(
    "key", [*ANNOTATIONS, "sidecar.istio.io/inject", "prometheus.io/scrape", "kubectl.kubernetes.io/default-container"]
)
def test_other_annotations_are_allowed(key: str) -> None:
    validate(a_deployment(podAnnotations={key: "x"}).spec)


def test_the_definition_has_the_same_patterns() -> None:
    """The API server rejects what the operator rejects."""
    spec = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    of_profile = " ".join(rule["rule"] for rule in spec["x-kubernetes-validations"] if "podAnnotations" in rule["rule"])
    labels, annotations = (
        " ".join(rule["rule"] for rule in spec["properties"][name]["x-kubernetes-validations"])
        for name in ("podLabels", "podAnnotations")
    )
    for text, patterns in (
        (of_profile, (rules.NETWORKS, rules.INJECTION)),
        (labels, (rules.RESERVED, rules.SET_BY_CONTROLLERS, *rules.LABELS_OF_USERS)),
        (annotations, (rules.RESERVED, rules.ANNOTATIONS_OF_USERS, rules.RUNTIMES)),
    ):
        assert [pattern for pattern in patterns if f"'{pattern}'" not in text] == []
