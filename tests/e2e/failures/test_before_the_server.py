"""Failures before Triton starts: missing models, image pulls, volumes, scheduling, quotas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hack.cluster.handle import RunningCluster
from hack.install import make_namespace
from tests.e2e.failures.conftest import Wrong, good_models
from tests.kube import Kube, Object

MISSING = "triton-operator.local/nothing-here:1"
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-pods"},
    "spec": {"hard": {"pods": "0"}},
}
LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "small"},
    "spec": {"limits": [{"type": "Container", "max": {"memory": "300Mi"}}]},
}


DRIVER = "gpu.example.com"


def of_devices(kind: str, name: str, spec: Object) -> Object:
    """An object of the API for devices."""
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


DEVICE_CLASS = of_devices(
    "DeviceClass", DRIVER, {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]}
)
ONE_DEVICE = of_devices(
    "ResourceClaimTemplate",
    "one-device",
    {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}},
)


@pytest.fixture(scope="module", autouse=True)
def applied(kube: Kube, wrong: Wrong, claim: Callable[..., str], broken: str, images: dict[str, Any]) -> None:
    """Apply all failing deployments of this module at once."""
    on_claim = {"pvc": {"claimName": broken}}
    claim("unbound")
    wrong("missing-model", models=[{"name": "linear_regression", "path": "linear-regression"}])
    wrong("missing-version", modelRepository=on_claim, models=[{"name": "no_version"}])
    wrong("unparsable", modelRepository=on_claim, models=[{"name": "unparsable"}])
    wrong("missing-image", modelRepository={"image": {"reference": MISSING}})
    wrong("missing-server", triton={"image": MISSING})
    wrong("late-claim", modelRepository={"pvc": {"claimName": "late"}})
    wrong("unbound-claim", modelRepository={"pvc": {"claimName": "unbound"}})
    wrong("no-node", scheduling={"nodeSelector": {"no": "where"}})
    kube.apply(ONE_DEVICE, DEVICE_CLASS)
    wrong(
        "no-device",
        gpu={"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-device", "request": "gpu"}]},
        triton={"image": images["triton-cpu"].reference, "version": "24.10"},
        privacy={"profile": "Open"},
    )
    wrong("no-such-argument", triton={"extraArgs": ["--http-max-input-size=1000"]})


def test_a_model_that_is_not_in_the_repository(kube: Kube) -> None:
    condition = kube.wait_reason("missing-model", "ModelNotFound")
    assert "linear-regression" in condition["message"]
    assert "linear_regression" in condition["message"], "it should say what is there instead"
    assert "fixed" in condition["message"]
    assert kube.condition("missing-model", "Stalled")["status"] == "True"  # type: ignore[index]
    kube.patch("modeldeployment", "missing-model", {"spec": {"models": [{"name": "linear_regression"}]}})
    kube.wait_ready("missing-model")
    kube.delete("modeldeployment", "missing-model", wait=False)


def test_a_model_without_a_version(kube: Kube) -> None:
    condition = kube.wait_reason("missing-version", "ModelVersionNotFound")
    assert "no_version" in condition["message"]
    kube.delete("modeldeployment", "missing-version", wait=False)


def test_a_config_that_cannot_be_parsed(kube: Kube) -> None:
    condition = kube.wait_reason("unparsable", "ConfigInvalid")
    assert "config.pbtxt" in condition["message"]
    assert "max_batch_size" in condition["message"]
    kube.delete("modeldeployment", "unparsable", wait=False)


@pytest.mark.parametrize("which", ["image", "server"])
def test_an_image_that_cannot_be_pulled(which: str, kube: Kube, images: dict[str, Any]) -> None:
    name = f"missing-{which}"
    condition = kube.wait_reason(name, "ImagePullFailed")
    assert MISSING in condition["message"]
    assert "the kubelet retries automatically" in condition["message"]
    if which == "image":
        source = {"image": {"reference": images["models"].reference}}
        kube.patch("modeldeployment", name, {"spec": {"modelRepository": source}})
        kube.wait_ready(name)
    kube.delete("modeldeployment", name, wait=False)


def test_a_claim_that_does_not_exist(kube: Kube, claim: Callable[..., str]) -> None:
    condition = kube.wait_reason("late-claim", "DependencyMissing")
    assert '"late"' in condition["message"]
    assert kube.namespace in condition["message"]
    claim("late", good_models)
    kube.wait_ready("late-claim")
    kube.delete("modeldeployment", "late-claim", wait=False)


def test_a_claim_that_has_no_volume(kube: Kube, claim: Callable[..., str]) -> None:
    condition = kube.wait_reason("unbound-claim", "VolumeUnbound")
    assert f"unbound in namespace {kube.namespace}" in condition["message"]
    kube.delete("modeldeployment", "unbound-claim", wait=False)


def test_no_node_fits(kube: Kube) -> None:
    condition = kube.wait_reason("no-node", "Unschedulable")
    assert "0/1 nodes are available" in condition["message"]
    kube.delete("modeldeployment", "no-node", wait=False)


def test_an_argument_that_the_release_does_not_know(kube: Kube) -> None:
    condition = kube.wait_reason("no-such-argument", "UnsupportedByImage")
    assert "--http-max-input-size" in condition["message"]
    assert "25." in condition["message"], "the release that has it"
    assert not kube.list("pods", "triton-operator.io/model-deployment=no-such-argument")
    kube.delete("modeldeployment", "no-such-argument", wait=False)


def test_no_device_for_a_claim_and_then_one_that_is_allocated(kube: Kube) -> None:
    """The scheduler allocates the device of a driver; without the driver itself, the pod does not start."""
    node = kube.list("nodes")[0]["metadata"]["name"]
    try:
        condition = kube.wait_reason("no-device", "InsufficientGPU")
        assert "cannot allocate all claims" in condition["message"]
        pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": [{"name": "gpu-0"}]}
        kube.apply(of_devices("ResourceSlice", "devices", spec))
        kube.wait(lambda: (kube.condition("no-device", "Scheduled") or {})["status"] == "True", "the pod has a node")
        (claim,) = kube.list("resourceclaims")
        (device,) = claim["status"]["allocation"]["devices"]["results"]
        assert (device["driver"], device["device"], device["request"]) == (DRIVER, "gpu-0", "gpu")
    finally:
        kube.delete("modeldeployment", "no-device", wait=False)
        kube.delete("resourceslice", "devices", wait=False)
        kube.delete("deviceclass", DRIVER, wait=False)


@pytest.mark.parametrize(
    ("rule", "reason", "sentence"),
    [(QUOTA, "QuotaExceeded", "exceeded quota: no-pods"), (LIMITS, "Forbidden", "maximum memory usage per Container")],
    ids=["a quota", "a limit range"],
)
def test_a_namespace_that_admits_no_such_pod(
    rule: Object,
    reason: str,
    sentence: str,
    node: RunningCluster,
    in_namespace: Callable[[str], Kube],
    operator: str,
    model_deployment: Callable[..., Object],
) -> None:
    strict = in_namespace(f"e2e-{rule['metadata']['name']}")
    make_namespace(node, strict.namespace)
    try:
        strict.apply(rule)
        strict.apply(model_deployment("linear_regression", resources={"limits": {"memory": "400Mi"}}))
        condition = strict.wait_reason("linear-regression", reason)
        assert sentence in condition["message"]
        assert "forbidden" in condition["message"], "it should be the API server's own sentence"
    finally:
        strict.run("delete", "namespace", strict.namespace, "--wait=false", namespaced=False)
