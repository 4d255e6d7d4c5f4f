"""The status when the API server rejects a write of a child, and which writes are retried.

The messages are those of a real API server (Kubernetes 1.36).
"""

from __future__ import annotations

import contextlib

import pytest

from tests.builders import WITHOUT_TLS, a_pod
from tests.fakes import World, orphaned
from triton_operator.api.status import ControlState, Truth
from triton_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    DeniedError,
    InvalidObjectError,
    NotFoundError,
    UnavailableError,
)
from triton_operator.cluster.observed import Kind
from triton_operator.reconcile import execute

TYPO = UnavailableError(
    "failed to create typed patch object (shop/digits; apps/v1, Kind=Deployment): "
    ".spec.template.spec.affinity.nodeAffinity.required: field not declared in schema",
    status=500,
)
NO_NUMBER = UnavailableError(
    "failed to convert new object (shop/digits; apps/v1, Kind=Deployment) to proper version: unable to convert "
    "unstructured object to apps/v1, Kind=Deployment: cannot convert float64 to int32",
    status=500,
)
WEBHOOK = UnavailableError(
    'Internal error occurred: failed calling webhook "w.example.com": failed to call webhook: Post '
    '"https://w.tools.svc:443/x?timeout=2s": dial tcp 10.0.0.1:443: connect: connection refused',
    status=500,
)
STORAGE = UnavailableError("etcdserver: request timed out", status=500)


async def _served() -> World:
    world = World()
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE
    return world


@pytest.mark.parametrize(
    ("error", "reason", "blame"),
    [
        (WEBHOOK, "WebhookFailed", "the owner of the webhook"),
        (STORAGE, "APIServerError", "the API server failed to write the Deployment"),
        (UnavailableError("the server is currently unable", status=503), "APIServerError", "failed to write"),
        (UnavailableError("PATCH Deployment: no answer within 30 s"), "APIServerError", "failed to write"),
        (UnavailableError("HTTP 507", status=507), "APIServerError", "failed to write"),
        (
            NotFoundError("the server could not find the requested resource", status=404),
            "APIServerError",
            "failed to write",
        ),
    ],
    ids=lambda value: getattr(value, "message", None),
)
async def test_an_outage_of_one_child_is_in_the_status_with_its_cause_and_is_retried(
    error: ClusterError, reason: str, blame: str
) -> None:
    world = World()
    world.cluster.answers = {Kind.DEPLOYMENT: error}
    with pytest.raises(type(error)):
        await world.reconcile()
    accepted = world.condition("Accepted")
    assert (accepted.status, accepted.reason) == (Truth.FALSE, reason)
    assert error.message in accepted.message
    assert blame in accepted.message
    assert world.condition("Ready").reason == reason
    assert world.condition("Reconciling").status is Truth.TRUE, "it continues automatically"
    assert world.status.observed_generation == 1
    world.cluster.answers = {}
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE


async def test_a_deployment_that_was_deleted_and_cannot_be_created_again_serves_nothing_in_the_status() -> None:
    world = await _served()
    world.vanish(Kind.DEPLOYMENT)
    world.cache.pods.replace([], None)
    world.cluster.answers = {Kind.DEPLOYMENT: WEBHOOK}
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert (world.status.replicas, world.status.ready_replicas) == (0, 0)
    assert world.condition("Ready").status is Truth.FALSE
    assert world.condition("Available").status is Truth.FALSE


@pytest.mark.parametrize("error", [TYPO, NO_NUMBER], ids=["a typing mistake", "a wrong type"])
async def test_content_that_fits_no_schema_is_the_user_s_mistake_and_not_sent_again(error: ClusterError) -> None:
    world = World(privacy=WITHOUT_TLS)
    world.cluster.answers = {Kind.DEPLOYMENT: error}
    assert await world.reconcile() is None, "nothing to wait for but another spec"
    accepted = world.condition("Accepted")
    assert (accepted.status, accepted.reason) == (Truth.FALSE, "InvalidSpec")
    assert error.message in accepted.message
    assert world.condition("Stalled").reason == "InvalidSpec"
    assert world.cluster.attempts == ["create Deployment/digits"]
    world.change_child(Kind.SERVICE, fingerprint="edited")
    assert await world.reconcile() is None
    assert world.cluster.attempts == ["create Deployment/digits"], "another event is no reason to send it again"
    assert world.condition("Accepted").reason == "InvalidSpec"
    world.edit(triton={"logLevel": "Info"})
    await world.reconcile()
    assert world.cluster.attempts == ["create Deployment/digits"] * 2


async def test_the_field_of_the_spec_is_named_first() -> None:
    world = World()
    world.cluster.answers = {Kind.DEPLOYMENT: TYPO}
    await world.reconcile()
    assert world.condition("Accepted").message.startswith("spec.scheduling.affinity: the API server rejected")


async def test_a_mistake_in_a_served_object_keeps_the_counts_alive() -> None:
    world = await _served()
    world.cluster.answers = {Kind.DEPLOYMENT: TYPO}
    world.edit(triton={"logLevel": "Info"})
    await world.reconcile()
    assert world.status.observed_generation == 2
    assert world.status.ready_replicas == 1
    assert world.condition("Available").status is Truth.TRUE
    assert world.condition("Ready").reason == "InvalidSpec"


@pytest.mark.parametrize(
    "error",
    [
        DeniedError('admission webhook "w.example.com" denied the request: no', status=403),
        UnavailableError('admission webhook "w.example.com" denied the request: no', status=500),
        InvalidObjectError("ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no", status=422),
    ],
    ids=["403", "500", "422 of a policy"],
)
async def test_a_denial_is_forbidden_whatever_its_code(error: ClusterError) -> None:
    world = World()
    world.cluster.answers = {Kind.DEPLOYMENT: error}
    assert await world.reconcile() is not None, "the rule may change"
    assert world.condition("Accepted").reason == "Forbidden"
    assert error.message in world.condition("Accepted").message


async def test_several_children_that_fail_at_once_are_all_reported() -> None:
    world = World()
    quota = DeniedError("configmaps is forbidden: exceeded quota: small", status=403)
    world.cluster.answers = {Kind.SERVICE: WEBHOOK, Kind.SERVICE_ACCOUNT: STORAGE, Kind.CONFIG_MAP: quota}
    with pytest.raises(UnavailableError):
        await world.reconcile()
    message = world.condition("Accepted").message
    for words in (WEBHOOK.message, STORAGE.message, quota.message):
        assert words in message
    assert message.count(WEBHOOK.message) == 1, "both Services have the same sentence"


async def test_what_needs_a_person_gives_the_reason() -> None:
    world = World()
    refused = InvalidObjectError('Service "digits" is invalid: spec.ports[0].nodePort: already allocated', status=422)
    world.cluster.answers = {Kind.SERVICE_ACCOUNT: STORAGE, Kind.SERVICE: refused}
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.condition("Accepted").reason == "InvalidSpec"
    assert STORAGE.message in world.condition("Accepted").message


async def test_a_mistake_and_an_outage_are_both_told() -> None:
    world = await _served()
    world.change_child(Kind.NETWORK_POLICY, fingerprint="opened")
    world.cluster.answers = {Kind.NETWORK_POLICY: WEBHOOK}
    world.edit(triton={"version": "23.01"})
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.condition("Accepted").reason == "UnknownVersion"
    assert WEBHOOK.message in world.condition("Accepted").message


@pytest.mark.parametrize("kind", [Kind.SERVICE_ACCOUNT, Kind.CONFIG_MAP, Kind.REVISION, Kind.NETWORK_POLICY])
async def test_no_pod_starts_while_what_it_needs_cannot_be_made(kind: Kind) -> None:
    world = World()
    world.cluster.answers = {kind: WEBHOOK}
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.names(Kind.DEPLOYMENT) == []


async def test_pods_stay_as_they_are_while_the_policy_of_the_new_ones_cannot_be_made() -> None:
    world = World(privacy={"profile": "Open"})
    await world.reconcile()
    before = world.manifest(Kind.DEPLOYMENT)
    world.cluster.answers = {Kind.NETWORK_POLICY: WEBHOOK}
    world.edit(privacy={"profile": "Private"}, triton={"logLevel": "Info"})
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await world.reconcile()
        assert world.manifest(Kind.DEPLOYMENT) == before


async def test_replicas_are_not_dropped_when_they_cannot_be_transferred() -> None:
    world = World(replicas=5)
    await world.reconcile()
    world.cluster.answers = {Kind.DEPLOYMENT: STORAGE}
    world.edit(autoscaling={"minReplicas": 2, "maxReplicas": 8})
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.cluster.attempts == ["apply Deployment/digits"]
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 5


async def test_what_cannot_be_deleted_is_reported() -> None:
    world = World(replicas=2)
    await world.reconcile()
    world.cluster.answers = {Kind.DISRUPTION_BUDGET: WEBHOOK}
    world.edit(replicas=1)
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.status.observed_generation == 2
    assert world.condition("Accepted").reason == "WebhookFailed"
    assert "PodDisruptionBudget" in world.condition("Accepted").message


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("Operation cannot be fulfilled on deployments.apps: the object has been modified", status=409),
        UnavailableError("the server has received too many requests", status=429),
    ],
    ids=["409", "429"],
)
async def test_a_transient_error_is_not_reported_unless_it_happens_again(error: ClusterError) -> None:
    world = await _served()
    world.edit(triton={"logLevel": "Info"})
    world.cluster.answers = {Kind.DEPLOYMENT: error}
    world.cluster.statuses.clear()
    with pytest.raises(type(error)):
        await world.reconcile()
    assert world.cluster.statuses == []
    with pytest.raises(type(error)):
        await world.reconcile()
    assert world.status.observed_generation == 2
    assert error.message in world.condition("Accepted").message


async def test_a_write_without_a_response_ends_in_time_for_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "WRITES_LIMIT", 0.05)
    world = World()
    world.cluster.hangs = frozenset({Kind.SERVICE})
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.condition("Accepted").reason == "APIServerError"
    assert "Service" in world.condition("Accepted").message


async def test_orphaned_children_are_named_all_at_once_with_the_command_that_removes_them() -> None:
    world = await orphaned(replicas=2, autoscaling={"maxReplicas": 3})
    assert await world.reconcile() is not None, "they may be deleted at any time"
    accepted = world.condition("Accepted")
    assert accepted.reason == "NameConflict"
    delete = accepted.message.partition("kubectl delete -n shop ")[2].split()
    assert sorted(delete) == sorted(f"{kind.value.lower()}/{name}" for kind, _, name in world.cluster.objects)
    assert world.cluster.writes == ["status digits"], "nothing is created beside what is in the way"
    for kind, name in [word.split("/") for word in delete]:
        (matching,) = (each for each in Kind if each.value.lower() == kind)
        world.vanish(matching, name)
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE


async def test_a_policy_of_somebody_else_is_not_called_missing() -> None:
    world = await orphaned()
    await world.reconcile()
    policy = world.control("NetworkPolicy")
    assert policy.state is ControlState.UNKNOWN
    assert "NetworkPolicy digits exists" in policy.message


async def test_children_of_a_deleted_object_of_the_same_name_are_named_all_at_once() -> None:
    world = World()
    for kind in (Kind.SERVICE_ACCOUNT, Kind.SERVICE, Kind.DEPLOYMENT):
        world.cluster.put_stranger(kind, "digits", owner_uid="uid-of-an-older-digits")
    await world.reconcile()
    message = world.condition("Accepted").message
    assert "ServiceAccount digits, Service digits and Deployment digits still belong" in message


async def test_a_child_of_another_deployment_is_not_waited_for() -> None:
    """For example a copy of its Service under another name: if its owner exists, nothing removes the copy."""
    world = World()
    world.cluster.put_stranger(Kind.SERVICE, "digits", owner_uid="uid-of-another", owner="dig")
    assert await world.reconcile() is not None, "it may be deleted at any time"
    accepted = world.condition("Accepted")
    assert accepted.reason == "NameConflict"
    assert "Service digits belongs to ModelDeployment dig" in accepted.message
    assert "rename this ModelDeployment, or delete it if unused" in accepted.message


async def test_a_conflict_without_an_object_is_reported_with_the_original_error() -> None:
    """A webhook chooses its status code, and a quota that several clients use at the same time causes a 409 too."""
    for message, reason in (
        ('admission webhook "w.example.com" denied the request: no Services here', "Forbidden"),
        ('Operation cannot be fulfilled on resourcequotas "q": the object has been modified', "APIServerError"),
    ):
        world = World()
        world.cluster.answers = {Kind.SERVICE: ConflictError(message, status=409)}
        for _ in range(2):
            with contextlib.suppress(ConflictError):
                await world.reconcile()
        assert world.condition("Accepted").reason == reason
        assert message in world.condition("Accepted").message
