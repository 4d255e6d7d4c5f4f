"""`spec.gpu` names its GPUs in exactly one way; all mistakes are reported at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_deployment, a_pod
from tests.fakes import World
from triton_operator.api.conditions import ACCEPTED
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate

OPEN = {"profile": "Open"}
CLAIM = {"resourceClaimName": "shared"}
TEMPLATE = {"resourceClaimTemplateName": "one-gpu"}


@pytest.mark.parametrize(
    ("gpu", "parts"),
    [
        (
            {"count": 2, "resourceName": "amd.com/gpu", "mig": {"profile": "1g 10gb"}},
            [
                "spec.gpu.resourceName: must not be set with mig",
                "spec.gpu.mig.profile: '1g 10gb' is not a profile",
                "spec.gpu.count: must be 1 with mig",
            ],
        ),
        (
            {"count": 2, "resourceName": "nvidia.com/a100", "sharing": "TimeSlicing"},
            ["spec.gpu.resourceName: must not be set with sharing", "spec.gpu.count: must be 1 with sharing"],
        ),
        (
            {"mig": {"profile": "1g.10gb"}, "resourceClaims": [{"name": "a"}, {"name": "a", **TEMPLATE, **CLAIM}]},
            [
                "spec.gpu.resourceClaims: must not be set with resourceName, mig or sharing",
                "spec.gpu.resourceClaims: a is used twice",
                "spec.gpu.resourceClaims[0]: set exactly one of",
                "spec.gpu.resourceClaims[1]: set exactly one of",
            ],
        ),
    ],
)
def test_all_mistakes_are_reported_at_once(gpu: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        validate(a_deployment(gpu=gpu, privacy=OPEN).spec)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "gpu",
    [
        {},
        {"count": 4, "resourceName": "amd.com/gpu"},
        {"mig": {"profile": "1g.10gb"}},
        {"mig": {"profile": "1g.10gb+me"}, "resourceName": "nvidia.com/gpu"},
        {"mig": {"profile": "1g.10gb"}, "sharing": "TimeSlicing"},
        {"sharing": "TimeSlicing"},
        {"resourceName": "nvidia.com/gpu.shared", "count": 2},
        {"count": 3, "resourceClaims": [{"name": "a", **CLAIM}, {"name": "b", "request": "gpu", **TEMPLATE}]},
    ],
)
def test_one_way_is_accepted(gpu: dict[str, Any]) -> None:
    validate(a_deployment(gpu=gpu, privacy=OPEN).spec)


@pytest.mark.parametrize(
    ("gpu", "path"),
    [
        ({"sharing": "TimeSlicing"}, "spec.gpu.sharing"),
        ({"sharing": "TimeSlicing", "mig": {"profile": "1g.10gb"}}, "spec.gpu.sharing"),
        ({"resourceName": "nvidia.com/gpu.shared"}, "spec.gpu.resourceName"),
    ],
)
def test_private_profiles_do_not_share_gpus(gpu: dict[str, Any], path: str) -> None:
    validate(a_deployment(gpu=gpu, privacy=OPEN).spec)
    with pytest.raises(InvalidSpecError, match="without isolation of memory") as caught:
        validate(a_deployment(gpu=gpu).spec)
    assert caught.value.path == path


def test_several_slices_are_rejected_also_by_name() -> None:
    with pytest.raises(InvalidSpecError, match=r"spec\.gpu\.count: must be 1 with mig"):
        validate(a_deployment(gpu={"count": 2, "resourceName": "nvidia.com/mig-1g.10gb"}).spec)


def test_instances_on_gpus_that_the_pod_does_not_have_are_rejected() -> None:
    """The API server rejects them, too; this is the message of `tritonctl lint`, and for objects of an older CRD."""
    groups = [{"kind": "GPU", "gpus": [0]}, {"kind": "GPU", "gpus": [1, 2]}]
    models = [{"name": "digits", "config": {"instanceGroups": groups}}]
    with pytest.raises(InvalidSpecError, match=r"GPU 2 does not exist: spec\.gpu\.count is 2") as caught:
        validate(a_deployment(gpu={"count": 2}, models=models).spec)
    assert caught.value.path == "spec.models[0].config.instanceGroups[1].gpus"


def test_private_profiles_allow_no_claims_of_unknown_devices() -> None:
    """The other mistakes are reported, too."""
    gpu = {"resourceClaims": [{"name": "gpu", **TEMPLATE}]}
    validate(a_deployment(gpu=gpu, privacy=OPEN).spec)
    with pytest.raises(InvalidSpecError, match=r"resourceClaims: can be of a network device") as caught:
        validate(a_deployment(gpu=gpu | {"mig": {"profile": "1g.10gb"}}).spec)
    assert "must not be set with" in str(caught.value)


async def test_what_the_catalogue_cannot_serve_is_reported_and_the_old_pods_serve_on() -> None:
    world = World(gpu={})
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    world.edit(gpu={"resourceName": "amd.com/gpu"})
    before = world.template_hash
    await world.reconcile()
    accepted = world.condition(ACCEPTED)
    assert (accepted.status, accepted.reason) == ("False", "UnknownVersion")
    assert accepted.message.startswith("spec.gpu.resourceName: the image catalogue has no image for amd.com/gpu")
    assert "set spec.triton.image" in accepted.message
    assert world.template_hash == before
    world.edit(gpu={"resourceName": "amd.com/gpu"}, triton={"image": "example.org/triton-rocm:26.11"})
    await world.reconcile()
    assert world.condition(ACCEPTED).status == "True"
    assert world.template_hash != before
