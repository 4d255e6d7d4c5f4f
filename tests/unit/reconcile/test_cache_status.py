"""The status while a cache is being filled, and why it may not be filled."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import NOW, SETTINGS, a_pod, unschedulable, waiting
from tests.fakes import World
from triton_operator.api.names import CONTAINER_PREPARE
from triton_operator.api.status import CacheState, Truth
from triton_operator.cluster.errors import DeniedError
from triton_operator.cluster.observed import Container, JobState, Kind, Pod, PodEvent, Terminated
from triton_operator.triton.prepare_contract.outcome import PrepareFailed, encode

S3 = {"s3": {"bucket": "models", "endpoint": "https://s3.example.com"}}
CACHE = {"size": "5Gi", "egress": {"cidrs": ["203.0.113.0/24"]}}


async def a_world(**spec: Any) -> World:
    """A ModelDeployment whose cache is being filled."""
    world = World(SETTINGS, **({"modelRepository": S3, "cache": CACHE} | spec))
    await world.reconcile()
    return world


def job(world: World) -> str:
    (name,) = world.names(Kind.JOB)
    return name


def change_job(world: World, **state: Any) -> None:
    child = world.child(Kind.JOB, job(world))
    assert isinstance(child.state, JobState)
    world.change_child(Kind.JOB, child.name, state=msgspec.structs.replace(child.state, **state))


def fetching(world: World, name: str = "digits-cache-1", container: Container | None = None, **fields: Any) -> Pod:
    """A pod of the Job that is running, unless its container has another state."""
    running = Container(name=CONTAINER_PREPARE, init=False, running=True)
    return a_pod(name, revision="", job=job(world), containers=(container or running,), **fields)


def failed(world: World, reason: str, message: str, name: str = "digits-cache-1", **fields: Any) -> Pod:
    """A pod of the Job that ended with this outcome."""
    termination_message = encode(PrepareFailed(reason, "", message)).decode()
    ended = Terminated(exit_code=78, reason="Error", message=termination_message, finished_at=NOW)
    return fetching(
        world, name, Container(name=CONTAINER_PREPARE, init=False, terminated=ended), phase="Failed", **fields
    )


async def seen(world: World, *pods: Pod) -> None:
    """Let the watch report these pods."""
    version = world.cluster.next_version()
    world.cache.pods.replace([msgspec.structs.replace(pod, resource_version=version) for pod in pods], None)
    await world.reconcile()


async def test_while_the_job_runs_the_reason_is_caching() -> None:
    world = await a_world()
    for kind in ("Ready", "ModelsPrepared"):
        condition = world.condition(kind)
        assert (condition.status, condition.reason) == (Truth.FALSE, "Caching")
        assert job(world) in condition.message
    assert world.condition("Reconciling").status is Truth.TRUE
    assert world.condition("Stalled").status is Truth.FALSE
    assert world.cluster.events == []


async def test_the_status_names_the_claim_its_state_and_since_when() -> None:
    world = await a_world()
    cache = world.status.cache
    assert cache
    assert (cache.claim_name, cache.state, cache.since) == (job(world), CacheState.FILLING, NOW)
    world.pass_time(60)
    await seen(world, fetching(world))
    assert world.status.cache == cache
    change_job(world, complete=True)
    await world.reconcile()
    assert world.status.cache == msgspec.structs.replace(cache, state=CacheState.FILLED, since="2026-01-02T03:05:05Z")


async def test_without_a_cache_the_status_has_none() -> None:
    world = World()
    await world.reconcile()
    assert world.status.cache is None


async def test_a_suspended_cache_waits() -> None:
    world = await a_world(suspend=True)
    assert world.status.cache
    assert world.status.cache.state is CacheState.WAITING
    assert world.condition("Ready").reason == "Suspended"


async def test_older_replicas_that_keep_serving_are_reported() -> None:
    world = await a_world()
    change_job(world, complete=True)
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE
    world.edit(modelRepository={"s3": {"bucket": "newer"}})
    await world.reconcile()
    ready = world.condition("Ready")
    assert (ready.status, ready.reason) == (Truth.FALSE, "Caching")
    assert ready.message.endswith("1 older replica keeps serving")
    assert world.condition("Available").status is Truth.TRUE


async def test_a_mistake_has_the_sources_reason_and_waits_for_a_person() -> None:
    world = await a_world()
    await seen(world, failed(world, "SourceNotFound", "https://s3.example.com/models: no such bucket"))
    change_job(world, failed=True, failed_at=NOW, reason="PodFailurePolicy")
    await world.reconcile()
    ready = world.condition("Ready")
    assert ready.reason == world.condition("ModelsPrepared").reason == "SourceNotFound"
    assert "no such bucket" in ready.message
    assert f"Job {job(world)} is deleted" in ready.message
    assert world.condition("Stalled").status is Truth.TRUE
    assert world.condition("Reconciling").status is Truth.FALSE
    assert world.status.cache
    assert world.status.cache.state is CacheState.FAILED
    assert world.status.last_failure
    assert world.status.last_failure.reason == "SourceNotFound"
    assert world.cluster.events[-1][:2] == ("Warning", "SourceNotFound")


async def test_an_outage_is_reported_until_it_is_over_even_while_the_next_attempt_runs() -> None:
    world = await a_world()
    outage = failed(world, "SourceUnreachable", "https://s3.example.com: connection refused")
    await seen(world, outage, fetching(world, "digits-cache-2", created_at="2026-01-02T03:05:05Z"))
    ready = world.condition("Ready")
    assert ready.reason == "SourceUnreachable"
    assert f"Job {job(world)} retries automatically" in ready.message
    assert world.condition("Reconciling").status is Truth.TRUE


async def test_a_job_that_gave_up_says_when_it_is_created_again() -> None:
    world = await a_world()
    await seen(world, failed(world, "SourceUnreachable", "connection refused"))
    change_job(world, failed=True, failed_at=NOW, reason="BackoffLimitExceeded")
    await world.reconcile()
    assert "is created again at 03:09:05 UTC" in world.condition("Ready").message


async def test_a_failed_job_whose_pods_are_gone_is_reported_in_its_controllers_words() -> None:
    world = await a_world()
    change_job(world, failed=True, failed_at=NOW, reason="BackoffLimitExceeded", message="has reached the limit")
    await world.reconcile()
    assert world.condition("Ready").reason == "PrepareFailed"
    assert "has reached the limit" in world.condition("Ready").message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('Error creating: pods "x" is forbidden: exceeded quota: pods, requested: pods=1', "QuotaExceeded"),
        ('Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"', "Forbidden"),
    ],
)
async def test_a_job_that_may_not_make_a_pod_says_so_in_its_events(message: str, reason: str) -> None:
    world = await a_world()
    change_job(world, started_at=NOW)
    world.cluster.pod_event_log[world.child(Kind.JOB, job(world)).uid] = [
        PodEvent(type="Warning", reason="FailedCreate", message=message)
    ]
    again = await world.reconcile()
    assert again == 5
    world.pass_time(again)
    await world.reconcile()
    assert world.condition("Ready").reason == reason
    assert message.rstrip(".") in world.condition("Ready").message


async def test_what_keeps_the_jobs_pod_from_running_is_reported_as_of_any_pod() -> None:
    world = await a_world()
    pull = waiting("ImagePullBackOff", "not found", name=CONTAINER_PREPARE)
    await seen(world, fetching(world, container=pull))
    assert world.condition("Ready").reason == "ImagePullFailed"
    nowhere = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    await seen(world, fetching(world, node="", conditions=(unschedulable(nowhere),)))
    assert world.condition("Ready").reason == "VolumeUnbound"


async def test_a_secret_that_is_missing_is_found_in_the_events_of_the_jobs_pod() -> None:
    world = await a_world()
    hanging = fetching(world, container=waiting("ContainerCreating", name=CONTAINER_PREPARE))
    missing = PodEvent(type="Warning", reason="FailedMount", message='secret "s3" not found')
    world.cluster.pod_event_log[hanging.uid] = [missing]
    world.pass_time(10)
    await seen(world, hanging)
    assert world.condition("Ready").reason == "DependencyMissing"


async def test_pods_of_the_job_are_no_replicas() -> None:
    world = await a_world()
    await seen(world, fetching(world))
    assert world.status.replicas == 0
    assert world.status.revisions == ()
    assert world.condition("Ready").reason == "Caching"


async def test_open_egress_is_reported_until_addresses_are_named() -> None:
    world = await a_world(cache={"size": "5Gi"})
    enforced = world.condition("PrivacyEnforced")
    assert (enforced.status, enforced.reason) == (Truth.FALSE, "CacheEgressOpen")
    assert "port 443" in enforced.message
    world.edit(cache=CACHE)
    await world.reconcile()
    assert world.condition("PrivacyEnforced").reason == "NetworkNotProven"


async def test_a_job_without_its_policy_is_reported() -> None:
    world = await a_world()
    world.cluster.refuse = Kind.NETWORK_POLICY
    world.vanish(Kind.NETWORK_POLICY, job(world))
    await world.reconcile()
    assert world.condition("PrivacyEnforced").reason == "PolicyMissing"
    assert job(world) in world.condition("PrivacyEnforced").message


async def test_a_job_that_a_quota_rejects_is_not_said_to_fetch_anything() -> None:
    world = World(modelRepository={"http": {"url": "https://x.example.com/m.zip"}}, cache={"size": "1Gi"})
    quota = "jobs.batch is forbidden: exceeded quota: small, requested: count/jobs.batch=1"
    world.cluster.answers = {Kind.JOB: DeniedError(quota, status=403)}
    await world.reconcile()
    prepared = world.condition("ModelsPrepared")
    assert prepared.reason == "QuotaExceeded"
    assert quota in prepared.message
