"""A deployment with the profile AirGapped over time: what is refused changes no pod, and what runs is reported."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.builders import AIR_GAPPED, AIR_GAPPED_SETTINGS, BY_DIGEST, SETTINGS, a_pod
from tests.fakes import World
from triton_operator.api.conditions import ACCEPTED, PRIVACY_ENFORCED, STALLED
from triton_operator.api.network_probe import NetworkProbe
from triton_operator.api.status import ControlState, Truth
from triton_operator.cluster.observed import Kind
from triton_operator.resources.settings import Settings

ENFORCED, NOT_ENFORCED = ControlState.ENFORCED, ControlState.NOT_ENFORCED
PRIVATE: dict[str, Any] = {"profile": "Private"}
AIR_GAP: dict[str, Any] = {"profile": "AirGapped"}
OF_AIR_GAPPED = ("ModelSources", "ImagesByDigest", "ServerRelease")


async def serving(settings: Settings = AIR_GAPPED_SETTINGS, **spec: Any) -> World:
    """A deployment with one ready pod, on a network that was probed."""
    world = World(settings, **(AIR_GAPPED | spec))
    world.cache.network_probe = NetworkProbe("2026-01-01T00:00:00Z", "v1.36.1", ("node-1",), ingress=True, egress=True)
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    return world


def controls(world: World) -> dict[str, ControlState]:
    return {name: world.control(name).state for name in OF_AIR_GAPPED}


async def test_a_deployment_that_has_everything_is_enforced() -> None:
    world = await serving()
    assert world.condition(ACCEPTED).status is Truth.TRUE
    assert set(controls(world).values()) == {ENFORCED}
    assert world.condition(PRIVACY_ENFORCED).message == "all 9 required controls are enforced"


async def test_an_accepted_change_of_the_profile_restarts_no_pod_unless_the_scan_becomes_stricter() -> None:
    world = await serving(privacy=PRIVATE)
    before = world.template_hash
    world.edit(privacy=AIR_GAP)
    await world.reconcile()
    assert world.template_hash != before
    world = await serving(privacy=PRIVATE, verification={**AIR_GAPPED["verification"], "scan": "Refuse"})
    before = world.template_hash
    world.edit(privacy=AIR_GAP)
    await world.reconcile()
    await world.reconcile()
    assert world.template_hash == before
    assert world.condition(ACCEPTED).status is Truth.TRUE
    assert set(controls(world).values()) == {ENFORCED}
    assert world.condition(PRIVACY_ENFORCED).status is Truth.TRUE


async def test_a_refused_change_of_the_profile_changes_no_child() -> None:
    """Every control but that of the model sources is enforced, as it was before."""
    world = await serving(privacy=PRIVATE, verification=None)
    before = dict(world.cluster.manifests)
    world.edit(privacy=AIR_GAP)
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == ["status digits"]
    assert world.cluster.manifests == before
    accepted = world.condition(ACCEPTED)
    assert (accepted.status, accepted.reason) == (Truth.FALSE, "InvalidSpec")
    assert "spec.verification.keys: must contain" in accepted.message
    assert world.condition(STALLED).status is Truth.TRUE
    enforced = world.condition(PRIVACY_ENFORCED)
    assert (enforced.status, enforced.reason) == (Truth.FALSE, "NotAirGapped")
    assert controls(world) == {"ModelSources": NOT_ENFORCED, "ImagesByDigest": ENFORCED, "ServerRelease": ENFORCED}


async def test_everything_that_is_missing_is_listed_at_once_and_its_addition_is_accepted() -> None:
    """Of the spec and of the installation."""
    missing = {"modelRepository": {"image": {"reference": "example.org/models:7"}}, "verification": None}
    world = World(**(AIR_GAPPED | missing))
    await world.reconcile()
    message = world.condition(ACCEPTED).message
    for part in (
        "spec.modelRepository.image.reference: must be referenced by digest",
        "spec.verification.keys: must contain the public keys",
        "spec.triton.image: must be set by digest",
        "spec.triton.version: must be 26.07 or newer",
        "image.digest in the values of the Helm chart: must be set",
    ):
        assert part in message
    assert world.names(Kind.DEPLOYMENT) == []
    world.new_operator(AIR_GAPPED_SETTINGS)
    world.edit(**{name: AIR_GAPPED[name] for name in missing})
    await world.reconcile()
    assert world.condition(ACCEPTED).status is Truth.TRUE
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_an_upgraded_operator_without_a_digest_leaves_what_runs_accepted() -> None:
    """The rule applies to new pods: a changed spec is refused, and a scaled deployment gets more of the old pods."""
    world = await serving()
    before = world.template_hash
    world.new_operator(SETTINGS)
    world.edit(replicas=3)
    await world.reconcile()
    assert world.condition(ACCEPTED).status is Truth.TRUE
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 3
    world.edit(resources={"requests": {"cpu": "2"}})
    await world.reconcile()
    assert "image.digest in the values of the Helm chart" in world.condition(ACCEPTED).message
    assert world.template_hash == before


async def test_a_refused_deployment_still_scales() -> None:
    world = await serving(privacy=PRIVATE, verification=None)
    world.edit(privacy=AIR_GAP, replicas=2)
    await world.reconcile()
    assert world.condition(ACCEPTED).status is Truth.FALSE
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 2


async def test_a_deployment_with_the_profile_open_is_restricted_although_its_change_is_refused() -> None:
    """A policy protects its pods, which remain what they are."""
    world = await serving(privacy={"profile": "Open"}, verification=None)
    before = world.template_hash
    assert world.names(Kind.NETWORK_POLICY) == []
    world.edit(privacy=AIR_GAP)
    await world.reconcile()
    assert world.names(Kind.NETWORK_POLICY) == ["digits"]
    assert world.template_hash == before


async def test_pods_with_tagged_images_are_not_air_gapped() -> None:
    tagged = msgspec.structs.replace(AIR_GAPPED_SETTINGS, operator_image="example.org/triton-operator:1")
    world = await serving(tagged, privacy=PRIVATE)
    world.edit(privacy=AIR_GAP)
    await world.reconcile()
    assert controls(world) == {"ModelSources": NOT_ENFORCED, "ImagesByDigest": NOT_ENFORCED, "ServerRelease": ENFORCED}
    assert all(world.control(name).required for name in OF_AIR_GAPPED)
    world.edit(privacy=PRIVATE)
    await world.reconcile()
    assert world.condition(PRIVACY_ENFORCED).status is Truth.TRUE


async def test_added_containers_are_named_because_no_signature_covers_what_they_answer() -> None:
    """A sidecar that starts before Triton can listen on its port of the loopback."""
    assert "spec.podTemplate" not in (await serving()).control("ModelSources").message
    added = {"name": "shipper", "image": f"example.org/shipper{BY_DIGEST}"}
    world = await serving(podTemplate={"spec": {"containers": [added]}})
    control = world.control("ModelSources")
    assert control.state is ENFORCED
    assert "containers of spec.podTemplate can answer instead of Triton: shipper" in control.message


async def test_pods_of_an_earlier_revision_count_until_they_end() -> None:
    world = await serving(privacy=PRIVATE, verification=None)
    old = world.template_hash
    world.edit(privacy=AIR_GAP, verification=AIR_GAPPED["verification"])
    await world.reconcile()
    assert world.condition(ACCEPTED).status is Truth.TRUE
    assert world.template_hash != old
    world.roll_out(a_pod("old", revision=old, ready=True), a_pod("new", revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.control("ModelSources").state is NOT_ENFORCED
    world.roll_out(a_pod("new", revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.control("ModelSources").state is ENFORCED


async def test_an_autoscaler_is_created_as_under_private() -> None:
    world = await serving(autoscaling={"maxReplicas": 3})
    assert world.names(Kind.AUTOSCALER) == ["digits"]
