"""The cache: when its objects are created, what waits for it, and when old ones are removed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import SETTINGS, WITHOUT_TLS
from tests.fakes import World
from triton_operator.cluster.errors import ConflictError
from triton_operator.cluster.observed import ClaimState, JobState, Kind

S3 = {"s3": {"bucket": "models", "prefix": "v1", "endpoint": "https://s3.example.com"}}
NEWER = {"s3": {"bucket": "models", "prefix": "v2", "endpoint": "https://s3.example.com"}}
CACHE = {"size": "5Gi", "egress": {"cidrs": ["203.0.113.0/24"]}}


def a_world(**spec: Any) -> World:
    """A ModelDeployment with models in a bucket."""
    return World(SETTINGS, **({"modelRepository": S3, "cache": CACHE} | spec))


def change_job(world: World, **state: Any) -> None:
    """Change the Job's status, as the Job controller does."""
    (name,) = world.names(Kind.JOB)
    child = world.child(Kind.JOB, name)
    assert isinstance(child.state, JobState)
    world.change_child(Kind.JOB, name, state=msgspec.structs.replace(child.state, **state))


def hide_job(world: World, **state: Any) -> None:
    """Remove the labels that the watch selects."""
    (name,) = world.names(Kind.JOB)
    world.hide_child(Kind.JOB, name, fingerprint="without our labels", state=job_state(world, **state))


def job_state(world: World, **changes: Any) -> JobState:
    """The state of the only Job with these changes."""
    (name,) = world.names(Kind.JOB)
    known = world.child(Kind.JOB, name).state
    assert isinstance(known, JobState)
    return msgspec.structs.replace(known, **changes)


async def fill(world: World) -> str:
    """Let the Job complete; returns the claim's name."""
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    change_job(world, complete=True)
    await world.reconcile()
    return name


async def settle(world: World) -> None:
    """Run passes until nothing is written."""
    for _ in range(5):
        world.forget_writes()
        await world.reconcile()
        if not world.cluster.writes:
            return
    pytest.fail(f"it never comes to rest: {world.cluster.writes}")


async def test_the_first_pass_makes_the_claim_the_policy_and_the_job_and_no_pod() -> None:
    world = a_world()
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    assert world.names(Kind.CLAIM) == [name]
    writes = world.cluster.writes
    order = [f"create {kind}/{name}" for kind in ("PersistentVolumeClaim", "NetworkPolicy", "Job")]
    assert [write for write in writes if write in order] == order
    assert world.names(Kind.DEPLOYMENT) == world.names(Kind.REVISION) == world.names(Kind.CONFIG_MAP) == []
    assert world.names(Kind.SERVICE) == ["digits", "digits-headless"]


async def test_pods_are_created_when_the_job_is_complete_and_mount_the_claim() -> None:
    world = a_world()
    name = await fill(world)
    volumes = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]["volumes"]
    assert {"claimName": name, "readOnly": True} in [volume.get("persistentVolumeClaim") for volume in volumes]


async def test_a_claim_that_is_filled_is_marked_and_its_job_is_removed() -> None:
    world = a_world()
    name = await fill(world)
    assert world.child(Kind.CLAIM, name).state == ClaimState(requested="5Gi", filled=True)
    await settle(world)
    assert world.names(Kind.JOB) == []
    assert world.names(Kind.NETWORK_POLICY) == ["digits"]


async def test_the_jobs_policy_stays_as_long_as_the_job() -> None:
    world = a_world()
    name = await fill(world)
    assert name in world.names(Kind.NETWORK_POLICY)


async def test_a_filled_claim_is_not_filled_again_by_a_new_operator() -> None:
    world = a_world()
    await fill(world)
    await settle(world)
    world.new_operator(msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2"))
    await world.reconcile()
    assert world.names(Kind.JOB) == []


async def test_a_newer_operator_does_not_interrupt_a_job() -> None:
    world = a_world()
    await world.reconcile()
    world.new_operator(msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2"))
    world.forget_writes()
    await world.reconcile()
    assert not [write for write in world.cluster.writes if "Job" in write]


async def test_another_content_gets_a_claim_next_to_the_old_one_which_keeps_serving() -> None:
    world = a_world()
    first = await fill(world)
    await settle(world)
    template = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]
    world.edit(modelRepository=NEWER)
    await settle(world)
    (second,) = world.names(Kind.JOB)
    assert sorted(world.names(Kind.CLAIM)) == sorted([first, second])
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["template"] == template
    assert len(world.names(Kind.REVISION)) == 1
    change_job(world, complete=True)
    await settle(world)
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["template"] != template
    assert sorted(world.names(Kind.CLAIM)) == sorted([first, second])


async def test_while_a_cache_is_filled_old_pods_can_be_scaled_and_are_still_reverted() -> None:
    world = a_world()
    await fill(world)
    await settle(world)
    world.edit(modelRepository=NEWER, replicas=3)
    await settle(world)
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 3
    world.change_child(Kind.DEPLOYMENT, fingerprint="edited")
    world.forget_writes()
    await world.reconcile()
    assert "apply Deployment/digits" in world.cluster.writes


async def test_claims_of_kept_revisions_are_kept_and_older_ones_deleted() -> None:
    world = a_world()
    names = []
    for prefix in ("v1", "v2", "v3", "v4"):
        world.edit(modelRepository={"s3": {"bucket": "models", "prefix": prefix}})
        names.append(await fill(world))
        await settle(world)
    assert world.names(Kind.CLAIM) == sorted(names[1:])


async def test_a_claim_that_a_replica_set_mounts_is_kept() -> None:
    world = a_world()
    first = await fill(world)
    await settle(world)
    world.cluster.in_use = frozenset({(Kind.CLAIM, first)})
    for prefix in ("v2", "v3", "v4"):
        world.edit(modelRepository={"s3": {"bucket": "models", "prefix": prefix}})
        await fill(world)
        await settle(world)
    assert first in world.names(Kind.CLAIM)


async def test_a_content_that_was_never_served_is_deleted_with_its_job() -> None:
    world = a_world()
    await world.reconcile()
    (abandoned,) = world.names(Kind.JOB)
    world.edit(modelRepository=NEWER)
    await settle(world)
    assert abandoned not in world.names(Kind.JOB) + world.names(Kind.CLAIM) + world.names(Kind.NETWORK_POLICY)


async def test_back_to_an_old_content_uses_its_claim_at_once() -> None:
    world = a_world()
    first = await fill(world)
    await settle(world)
    world.edit(modelRepository=NEWER)
    await fill(world)
    await settle(world)
    world.edit(modelRepository=S3)
    await settle(world)
    assert world.names(Kind.JOB) == []
    volumes = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]["volumes"]
    assert first in [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in volumes]


async def test_a_mistake_is_not_retried_until_the_spec_changes() -> None:
    world = a_world()
    await world.reconcile()
    change_job(world, failed=True, failed_at="2026-01-02T03:04:05Z", reason="PodFailurePolicy")
    for _ in range(3):
        world.forget_writes()
        await world.reconcile()
        assert not [write for write in world.cluster.writes if "Job" in write]
        world.pass_time(86400)
    world.edit(modelRepository={**S3, "credentialsSecretRef": {"name": "other"}})
    await settle(world)
    (name,) = world.names(Kind.JOB)
    assert world.child(Kind.JOB, name).state.failed is False  # type: ignore[union-attr]


async def test_a_job_that_somebody_deleted_is_created_again() -> None:
    world = a_world()
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    change_job(world, failed=True, failed_at="2026-01-02T03:04:05Z", reason="PodFailurePolicy")
    await world.reconcile()
    world.vanish(Kind.JOB, name)
    await world.reconcile()
    assert world.names(Kind.JOB) == [name]


async def test_what_only_the_response_to_our_own_write_shows_is_acted_on() -> None:
    """The Job completes before its labels are restored: only the response to that write reports it."""
    world = a_world(privacy=WITHOUT_TLS)
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    hide_job(world, labelled=False)
    with pytest.raises(ConflictError):
        await world.reconcile()
    completed = job_state(world, complete=True)
    world.change_unseen(Kind.JOB, name, fingerprint="without our labels", state=completed)
    assert await world.reconcile() == 0
    assert world.names(Kind.DEPLOYMENT) == []
    assert await world.reconcile() is None
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_a_job_that_gave_up_on_an_outage_is_created_again_after_a_pause() -> None:
    world = a_world()
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    failed_uid = world.child(Kind.JOB, name).uid
    change_job(world, failed=True, failed_at="2026-01-02T03:04:05Z", reason="BackoffLimitExceeded")
    again = await world.reconcile()
    assert again == 300
    assert world.child(Kind.JOB, name).uid == failed_uid
    world.pass_time(again)
    await settle(world)
    assert world.child(Kind.JOB, name).uid != failed_uid


async def test_suspended_nothing_is_fetched_and_the_claim_is_kept() -> None:
    world = a_world()
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    world.edit(suspend=True)
    await settle(world)
    assert world.names(Kind.JOB) == []
    assert world.names(Kind.CLAIM) == [name]
    world.edit(suspend=False)
    await settle(world)
    assert world.names(Kind.JOB) == [name]


async def test_a_claim_that_was_enlarged_by_hand_is_not_made_smaller() -> None:
    world = a_world()
    await world.reconcile()
    (name,) = world.names(Kind.CLAIM)
    world.change_child(Kind.CLAIM, name, state=ClaimState(requested="9Gi"))
    await fill(world)
    assert world.manifest(Kind.CLAIM, name)["spec"]["resources"]["requests"]["storage"] == "9Gi"


async def test_a_claim_that_somebody_deleted_is_filled_again_and_pods_stay() -> None:
    world = a_world()
    name = await fill(world)
    await settle(world)
    world.vanish(Kind.CLAIM, name)
    await settle(world)
    assert world.names(Kind.JOB) == [name]
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_without_a_cache_the_claims_of_kept_revisions_stay_for_a_rollback() -> None:
    world = a_world(privacy={"profile": "Open"})
    name = await fill(world)
    await settle(world)
    world.edit(cache=None, modelRepository={"image": {"reference": "example.org/models:1"}})
    await settle(world)
    assert world.names(Kind.CLAIM) == [name]
    volumes = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]["volumes"]
    assert name not in [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in volumes]


async def test_profile_open_gives_the_job_no_policy() -> None:
    world = a_world(privacy={"profile": "Open"})
    await world.reconcile()
    assert world.names(Kind.NETWORK_POLICY) == []
    assert len(world.names(Kind.JOB)) == 1


async def test_where_the_job_may_connect_to_changes_without_a_new_one() -> None:
    world = a_world()
    await world.reconcile()
    (name,) = world.names(Kind.JOB)
    world.edit(cache={**CACHE, "egress": {"cidrs": ["198.51.100.0/24"], "ports": [9000]}})
    await settle(world)
    assert world.names(Kind.JOB) == [name]
    rule = world.manifest(Kind.NETWORK_POLICY, name)["spec"]["egress"][1]
    assert rule == {"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}], "ports": [{"port": 9000, "protocol": "TCP"}]}
