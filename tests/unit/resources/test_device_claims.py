"""Claims of devices in the pod and in its container, and what follows from the number of GPUs in them."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import msgspec
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate
from triton_operator.resources.accelerators import check_device, scheduling_defaults
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render
from triton_operator.resources.model_configs import render_configs
from triton_operator.resources.server_image import choose_server_image
from triton_operator.resources.settings import AcceleratorDefaults

CLAIMS: list[dict[str, Any]] = [
    {"name": "gpus", "resourceClaimTemplateName": "two-gpus", "request": "gpu"},
    {"name": "shared", "resourceClaimName": "one-gpu"},
]
OPEN = {"profile": "Open"}


def pod_of(**spec: Any) -> dict[str, Any]:
    (found,) = (each for each in render(a_deployment(privacy=OPEN, **spec), SETTINGS) if each["kind"] == "Deployment")
    kubernetes_validate.validate(found, "1.35", strict=True)
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


def test_the_pod_and_its_container_have_the_claims_and_no_extended_resource() -> None:
    pod = pod_of(gpu={"count": 3, "resourceClaims": CLAIMS})
    assert pod["resourceClaims"] == [
        {"name": "gpus", "resourceClaimTemplateName": "two-gpus"},
        {"name": "shared", "resourceClaimName": "one-gpu"},
    ]
    (triton,) = pod["containers"]
    assert triton["resources"]["claims"] == [{"name": "gpus", "request": "gpu"}, {"name": "shared"}]
    assert triton["resources"]["requests"] == {"cpu": "250m", "memory": "512Mi"}
    assert "limits" not in triton["resources"]
    assert not any("claims" in each["resources"] for each in pod["initContainers"])
    assert "resourceClaims" not in pod_of(gpu={}) | pod_of()


def test_the_number_of_gpus_is_that_of_all_claims() -> None:
    """It decides about the models in the same way as a number of whole GPUs."""
    models = [{"name": name, "gpuMemory": "10Gi"} for name in ("a", "b", "c")]
    claimed = a_deployment(gpu={"count": 3, "memory": "16Gi", "resourceClaims": CLAIMS}, models=models, privacy=OPEN)
    whole = a_deployment(gpu={"count": 3, "memory": "16Gi"}, models=models, privacy=OPEN)
    assert [each.tuning for each in render_configs(claimed.spec)] == [
        each.tuning for each in render_configs(whole.spec)
    ]
    assert [each.tuning.placed_on for each in render_configs(claimed.spec)] == [(0,), (1,), (2,)]


def test_claims_get_nvidias_image_and_no_defaults_of_a_resource_and_the_reason_is_shown() -> None:
    deployment = a_deployment(gpu={"resourceClaims": CLAIMS}, privacy=OPEN)
    any_resource = AcceleratorDefaults("nvidia.com/*", ({"operator": "Exists"},), "nvidia")
    settings = msgspec.structs.replace(SETTINGS, accelerators=(any_resource,))
    check_device(deployment.spec, settings)
    server = choose_server_image(deployment.spec, settings)
    assert server.image == SETTINGS.images[0].image
    assert scheduling_defaults(deployment.spec, server, settings).runtime_class_name is None
    (shown,) = (each for each in applied_defaults(deployment, settings) if each.field == "spec.triton.image")
    assert "claims do not say whose GPUs" in shown.why


def test_a_pod_template_cannot_change_a_claim() -> None:
    template = {"spec": {"resourceClaims": [{"name": "gpus", "resourceClaimName": "other"}]}}
    with pytest.raises(InvalidSpecError, match=r"gpus is the name of a claim in spec\.gpu"):
        validate(a_deployment(gpu={"resourceClaims": CLAIMS}, podTemplate=template, privacy=OPEN).spec)
    template = {"spec": {"resourceClaims": [{"name": "nic", "resourceClaimName": "other"}]}}
    validate(a_deployment(gpu={"resourceClaims": CLAIMS}, podTemplate=template, privacy=OPEN).spec)
    pod = pod_of(gpu={"resourceClaims": CLAIMS}, podTemplate=template)
    assert [each["name"] for each in pod["resourceClaims"]] == ["gpus", "shared", "nic"]
