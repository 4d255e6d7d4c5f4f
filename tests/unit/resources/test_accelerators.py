"""What the catalogue decides about GPUs: the image, tolerations, the RuntimeClass and the architecture."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import msgspec
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render
from triton_operator.resources.settings import AcceleratorDefaults, CatalogueImage, Settings

TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
ROCM = CatalogueImage("rocm:26.11", "26.11", resource_names=("amd.com/gpu",), architecture="amd64", default=True)
CATALOGUE = Settings(
    operator_image="o:1",
    images=(*SETTINGS.images, ROCM),
    accelerators=(
        AcceleratorDefaults("nvidia.com/mig-*", (), "mig"),
        AcceleratorDefaults("nvidia.com/*", (TAINT,), "nvidia"),
    ),
)


def pod_of(settings: Settings = CATALOGUE, **spec: Any) -> dict[str, Any]:
    (found,) = (each for each in render(a_deployment(**spec), settings) if each["kind"] == "Deployment")
    kubernetes_validate.validate(found, "1.35", strict=True)
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


def devices(pod: dict[str, Any]) -> dict[str, Any]:
    (triton,) = pod["containers"]
    limits = {name: value for name, value in triton["resources"]["limits"].items() if "/" in name}
    assert limits.items() <= triton["resources"]["requests"].items()
    return limits


@pytest.mark.parametrize(
    ("gpu", "resource"),
    [
        ({}, "nvidia.com/gpu"),
        ({"mig": {"profile": "1g.10gb"}}, "nvidia.com/mig-1g.10gb"),
        ({"mig": {"profile": "1g.10gb+me"}}, "nvidia.com/mig-1g.10gb.me"),
        ({"sharing": "TimeSlicing"}, "nvidia.com/gpu.shared"),
        ({"mig": {"profile": "3g.40gb"}, "sharing": "TimeSlicing"}, "nvidia.com/mig-3g.40gb.shared"),
    ],
)
def test_the_container_requests_the_name_that_the_device_plugin_advertises(gpu: dict[str, Any], resource: str) -> None:
    assert devices(pod_of(gpu=gpu, privacy={"profile": "Open"})) == {resource: "1"}


def test_the_catalogue_adds_tolerations_and_a_runtime_class_of_the_first_matching_entry() -> None:
    whole, sliced = pod_of(gpu={}), pod_of(gpu={"mig": {"profile": "1g.10gb"}})
    assert (whole["tolerations"], whole["runtimeClassName"]) == ([TAINT], "nvidia")
    assert ("tolerations" in sliced, sliced["runtimeClassName"]) == (False, "mig")
    assert not {"tolerations", "runtimeClassName"} & pod_of().keys(), "a pod without GPUs"


def test_the_users_scheduling_takes_precedence() -> None:
    own = {"tolerations": [], "runtimeClassName": "gvisor"}
    pod = pod_of(gpu={}, scheduling=own)
    assert "tolerations" not in pod
    assert pod["runtimeClassName"] == "gvisor"


def test_without_entries_pods_do_not_change() -> None:
    more_images = msgspec.structs.replace(SETTINGS, images=CATALOGUE.images)
    assert pod_of(SETTINGS, gpu={}) == pod_of(more_images, gpu={})
    assert not {"tolerations", "runtimeClassName", "nodeSelector"} & pod_of(SETTINGS, gpu={}).keys()


def test_an_image_for_one_architecture_selects_its_nodes_unless_the_user_does() -> None:
    gpu = {"resourceName": "amd.com/gpu"}
    assert pod_of(gpu=gpu, scheduling={"nodeSelector": {"zone": "a"}})["nodeSelector"] == {
        "zone": "a",
        "kubernetes.io/arch": "amd64",
    }
    own = {"nodeSelector": {"kubernetes.io/arch": "arm64"}}
    assert pod_of(gpu=gpu, scheduling=own)["nodeSelector"] == own["nodeSelector"]
    assert "nodeSelector" not in pod_of(gpu={})


def test_gpus_of_other_vendors_get_their_own_image() -> None:
    assert pod_of(gpu={"resourceName": "amd.com/gpu"})["containers"][0]["image"] == "rocm:26.11"
    assert pod_of(gpu={})["containers"][0]["image"] == SETTINGS.images[0].image
    only_rocm = Settings("o:1", (ROCM,))
    with pytest.raises(InvalidSpecError, match=r"spec\.triton\.version: .*no default entry for a CPU deployment"):
        render(a_deployment(), only_rocm)


@pytest.mark.parametrize("resource", ["gpu.intel.com/i915", "gpu.intel.com/xe", "amd.com/gpu"])
def test_nvidias_image_is_never_used_for_other_gpus(resource: str) -> None:
    with pytest.raises(InvalidSpecError, match=rf"no image for {resource}.*resourceNames: \[{resource}\]") as caught:
        render(a_deployment(gpu={"resourceName": resource}), SETTINGS)
    assert caught.value.path == "spec.gpu.resourceName"
    own = {"image": "example.org/triton-for-others:26.11"}
    assert pod_of(SETTINGS, gpu={"resourceName": resource}, triton=own)["containers"][0]["image"] == own["image"]


@pytest.mark.parametrize("resource", ["rdma/hca", "gpu.intel.com/i915_monitoring"])
def test_a_private_profile_allows_no_device_that_may_be_more_than_a_gpu_of_the_pod(resource: str) -> None:
    """With an image of the user's own, nothing else would check the name of the resource."""
    spec: dict[str, Any] = {"gpu": {"resourceName": resource}, "triton": {"image": "example.org/triton:26.11"}}
    assert devices(pod_of(privacy={"profile": "Open"}, **spec)) == {resource: "1"}
    with pytest.raises(InvalidSpecError, match="no network policy applies"):
        render(a_deployment(**spec), CATALOGUE)
    listed = msgspec.structs.replace(CATALOGUE, accelerators=(AcceleratorDefaults(resource),))
    assert devices(pod_of(listed, **spec)) == {resource: "1"}, "the administrator has allowed it"


def test_the_defaults_of_the_catalogue_are_shown() -> None:
    shown = {each.field: each.value for each in applied_defaults(a_deployment(gpu={}), CATALOGUE)}
    assert shown["spec.scheduling.tolerations"] == "nvidia.com/gpu"
    assert shown["spec.scheduling.runtimeClassName"] == "nvidia"
    shown = {
        each.field: each.value
        for each in applied_defaults(a_deployment(gpu={"resourceName": "amd.com/gpu"}), CATALOGUE)
    }
    assert shown["spec.scheduling.nodeSelector.kubernetes.io/arch"] == "amd64"
