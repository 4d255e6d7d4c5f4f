"""The children of a deployment, and the reaction to changes of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import SETTINGS, WITHOUT_TLS, a_pod
from tests.fakes import World
from triton_operator.api.status import Truth
from triton_operator.cluster.errors import TerminatingError, UnavailableError
from triton_operator.cluster.observed import DeploymentState, Kind, RevisionState
from triton_operator.reconcile import desired_state


async def test_a_new_object_gets_every_child_with_one_write_each_and_one_status() -> None:
    world = World()
    await world.reconcile()
    (config,) = (name for name in world.names(Kind.CONFIG_MAP) if name.startswith("digits-config-"))
    (revision,) = world.names(Kind.REVISION)
    assert world.cluster.writes == [
        "create Secret/triton-operator-authority",
        "create ConfigMap/triton-operator-ca",
        "create Secret/triton-operator-serving",
        "create ServiceAccount/digits",
        f"create ConfigMap/{config}",
        f"create ControllerRevision/{revision}",
        "create ConfigMap/digits-proxy",
        "create NetworkPolicy/digits",
        "create Service/digits",
        "create Service/digits-headless",
        "create Deployment/digits",
        "status digits",
    ]


async def test_without_tls_there_are_neither_certificates_nor_a_policy_of_the_proxy() -> None:
    world = World(privacy=WITHOUT_TLS)
    await world.reconcile()
    assert [write.split("-config-")[0].split("/")[0] for write in world.cluster.writes] == [
        "create ServiceAccount",
        "create ConfigMap",
        "create ControllerRevision",
        "create NetworkPolicy",
        "create Service",
        "create Service",
        "create Deployment",
        "status digits",
    ]


async def test_a_second_pass_writes_nothing() -> None:
    world = World(replicas=2, autoscaling={"maxReplicas": 3})
    await world.reconcile()
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == []


async def test_the_policy_is_there_before_the_first_pod() -> None:
    world = World()
    await world.reconcile()
    writes = world.cluster.writes
    assert writes.index("create NetworkPolicy/digits") < writes.index("create Deployment/digits")


async def test_profile_open_has_no_policy_and_losing_private_removes_it() -> None:
    world = World()
    await world.reconcile()
    world.edit(privacy={"profile": "Open"})
    await world.reconcile()
    assert world.names(Kind.NETWORK_POLICY) == []


async def test_more_than_one_replica_brings_a_disruption_budget_and_one_takes_it_away() -> None:
    world = World(replicas=2)
    await world.reconcile()
    assert world.names(Kind.DISRUPTION_BUDGET) == ["digits"]
    world.edit(replicas=1)
    await world.reconcile()
    assert world.names(Kind.DISRUPTION_BUDGET) == []


async def test_an_edited_child_is_applied_again() -> None:
    world = World()
    await world.reconcile()
    world.forget_writes()
    world.change_child(Kind.SERVICE, fingerprint="edited")
    await world.reconcile()
    assert "apply Service/digits" in world.cluster.writes


async def test_a_deleted_child_is_created_again() -> None:
    world = World()
    await world.reconcile()
    world.vanish(Kind.SERVICE)
    world.forget_writes()
    await world.reconcile()
    assert "create Service/digits" in world.cluster.writes


async def test_foreign_parts_are_removed_by_replacing_the_child() -> None:
    world = World()
    await world.reconcile()
    world.change_child(Kind.DEPLOYMENT, has_foreign_fields=True, fingerprint="with a container of somebody else")
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes[:2] == ["apply Deployment/digits", "replace Deployment/digits"]


async def test_a_child_whose_owner_reference_was_removed_is_still_ours() -> None:
    world = World()
    await world.reconcile()
    world.change_child(Kind.SERVICE, owner_uid="", fingerprint="without owner")
    world.forget_writes()
    await world.reconcile()
    assert "apply Service/digits" in world.cluster.writes


async def test_a_name_that_somebody_uses_is_left_alone_and_told() -> None:
    world = World()
    world.cluster.put_stranger(Kind.SERVICE, "digits")
    again = await world.reconcile()
    assert world.condition("Accepted").reason == "NameConflict"
    assert "Service named digits" in world.condition("Ready").message
    assert world.child(Kind.SERVICE).uid == "stranger-digits"
    assert world.names(Kind.DEPLOYMENT) == []
    assert again is not None


async def test_after_the_name_is_free_the_deployment_comes_up() -> None:
    world = World()
    world.cluster.put_stranger(Kind.SERVICE, "digits")
    await world.reconcile()
    del world.cluster.objects[Kind.SERVICE, "shop", "digits"]
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_children_of_a_deleted_object_of_the_same_name_are_waited_for() -> None:
    world = World()
    world.cluster.put_stranger(Kind.SERVICE_ACCOUNT, "digits", owner_uid="uid-of-the-dead")
    again = await world.reconcile()
    assert world.condition("Accepted").reason == "WaitingForDeletion"
    assert again is not None


async def test_orphans_of_a_deleted_object_of_the_same_name_are_not_adopted() -> None:
    """`kubectl delete --cascade=orphan` keeps the children for the user, whether or not a pass sees the deletion."""
    world = World()
    await world.reconcile()
    for kind, _, name in list(world.cluster.objects):
        world.change_child(kind, name, owner_uid="")
    world.body["metadata"] |= {"uid": "successor", "resourceVersion": "100000"}
    world.cache.deployments.put(world.body)
    world.forget_writes()
    await world.reconcile()
    shared = ["patch ConfigMap/triton-operator-ca", "patch Secret/triton-operator-serving"]
    assert world.cluster.writes == [*shared, "status digits"]
    assert world.condition("Accepted").reason == "NameConflict"


async def test_an_object_with_our_labels_but_another_name_is_ignored() -> None:
    world = World()
    await world.reconcile()
    stranger = msgspec.structs.replace(
        world.child(Kind.SERVICE), name="elsewhere", uid="other", owner_uid="", resource_version=9
    )
    world.cache.children.put(stranger)
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == []


async def test_an_operator_upgrade_rolls_no_pod() -> None:
    world = World()
    await world.reconcile()
    before = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]
    newer = msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2", images=())
    world.new_operator(newer)
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["template"] == before


async def test_an_operator_upgrade_rolls_no_pod_after_scaling_either() -> None:
    world = World()
    await world.reconcile()
    before = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]
    world.new_operator(msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2"))
    world.edit(replicas=3, service={"annotations": {"team": "vision"}}, suspend=None)
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["template"] == before
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 3


async def test_a_change_that_touches_pods_is_rendered_by_the_new_operator() -> None:
    world = World()
    await world.reconcile()
    world.new_operator(msgspec.structs.replace(SETTINGS, operator_image="example.org/triton-operator:2"))
    world.edit(triton={"logLevel": "Info"})
    await world.reconcile()
    pod = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["image"] == "example.org/triton-operator:2"


async def test_the_account_stays_until_the_last_pod_that_uses_it_has_ended() -> None:
    """A pod cannot be created again without its account."""
    world = World()
    await world.reconcile()
    old = a_pod("old", revision=world.template_hash, ready=True)
    world.roll_out(old)
    world.edit(serviceAccount={"name": "models"})
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]["serviceAccountName"] == "models"
    new = a_pod("new", revision=world.template_hash, ready=True)
    world.roll_out(old, new)
    await world.reconcile()
    assert world.names(Kind.SERVICE_ACCOUNT) == ["digits"]
    world.roll_out(new)
    await world.reconcile()
    assert world.names(Kind.SERVICE_ACCOUNT) == []
    world.edit(serviceAccount={})
    await world.reconcile()
    assert world.names(Kind.SERVICE_ACCOUNT) == ["digits"]


async def test_annotations_of_the_account_are_applied_and_removed_without_a_rollout() -> None:
    world = World()
    await world.reconcile()
    world.forget_writes()
    world.edit(serviceAccount={"annotations": {"a": "b"}})
    await world.reconcile()
    assert world.manifest(Kind.SERVICE_ACCOUNT)["metadata"]["annotations"] == {"a": "b"}
    world.edit(serviceAccount={})
    await world.reconcile()
    assert "annotations" not in world.manifest(Kind.SERVICE_ACCOUNT)["metadata"]
    assert {write for write in world.cluster.writes if not write.startswith("status")} == {
        "apply ServiceAccount/digits"
    }


async def test_three_revisions_are_kept_with_their_configs() -> None:
    world = World()
    await world.reconcile()
    for model in ("a", "b", "c", "d"):
        world.edit(models=[{"name": model}])
        await world.reconcile()
    assert len(world.names(Kind.REVISION)) == 3
    assert len([name for name in world.names(Kind.CONFIG_MAP) if name != "digits-proxy"]) == 3


async def test_a_config_that_a_replica_set_mounts_is_kept() -> None:
    world = World()
    await world.reconcile()
    first = world.names(Kind.CONFIG_MAP)[0]
    world.cluster.in_use = frozenset({(Kind.CONFIG_MAP, first)})
    for model in ("a", "b", "c", "d"):
        world.edit(models=[{"name": model}])
        await world.reconcile()
    assert first in world.names(Kind.CONFIG_MAP)


async def test_an_old_content_that_comes_back_gets_the_highest_number() -> None:
    world = World()
    await world.reconcile()
    first = world.names(Kind.REVISION)[0]
    world.edit(models=[{"name": "other"}])
    await world.reconcile()
    world.edit(models=[{"name": "digits"}])
    await world.reconcile()
    numbers = {name: world.manifest(Kind.REVISION, name)["revision"] for name in world.names(Kind.REVISION)}
    assert max(numbers, key=lambda name: numbers[name]) == first


async def test_replicas_are_transferred_before_they_are_omitted() -> None:
    world = World(replicas=5)
    await world.reconcile()
    world.edit(autoscaling={"minReplicas": 2, "maxReplicas": 8})
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes.index("transfer Deployment/digits") < world.cluster.writes.index(
        "apply Deployment/digits"
    )
    assert "replicas" not in world.manifest(Kind.DEPLOYMENT)["spec"]
    assert _replicas(world) == 5


async def test_an_invalid_spec_that_turns_autoscaling_on_does_not_lose_replicas() -> None:
    """An apply without `replicas` would reset them to 1, whatever else is invalid in the spec."""
    world = World(replicas=4)
    await world.reconcile()
    world.forget_writes()
    world.edit(autoscaling={"maxReplicas": 5}, triton={"version": "never"})
    await world.reconcile()
    assert world.condition("Accepted").reason == "InvalidSpec"
    writes = world.cluster.writes
    assert writes.index("transfer Deployment/digits") < writes.index("apply Deployment/digits")


async def test_the_autoscaler_s_count_is_not_touched() -> None:
    world = World(autoscaling={"minReplicas": 1, "maxReplicas": 8})
    await world.reconcile()
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, replicas=7))
    world.forget_writes()
    await world.reconcile()
    assert not [write for write in world.cluster.writes if "Deployment" in write]
    assert _replicas(world) == 7


async def test_a_manual_change_of_replicas_is_reverted_without_autoscaling() -> None:
    world = World(replicas=2)
    await world.reconcile()
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, replicas=9))
    await world.reconcile()
    assert _replicas(world) == 2


async def test_suspend_scales_to_zero_and_removes_the_autoscaler() -> None:
    world = World(autoscaling={"minReplicas": 2, "maxReplicas": 8})
    await world.reconcile()
    world.edit(suspend=True)
    await world.reconcile()
    assert _replicas(world) == 0
    assert world.names(Kind.AUTOSCALER) == []
    assert world.condition("Ready").reason == "Suspended"


async def test_resuming_starts_at_min_replicas() -> None:
    world = World(autoscaling={"minReplicas": 2, "maxReplicas": 8})
    await world.reconcile()
    world.edit(suspend=True)
    await world.reconcile()
    world.edit(suspend=False)
    await world.reconcile()
    assert _replicas(world) == 2
    assert world.names(Kind.AUTOSCALER) == ["digits"]


async def test_an_outage_is_raised_to_the_queue_and_the_next_pass_goes_on() -> None:
    world = World()
    world.cluster.fail_with = UnavailableError("connection refused")
    with pytest.raises(UnavailableError):
        await world.reconcile()
    world.cluster.fail_with = None
    await world.reconcile()
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_a_namespace_that_is_being_deleted_is_left_alone() -> None:
    world = World()
    world.cluster.fail_with = TerminatingError("because it is being terminated", status=403)
    assert await world.reconcile() is None
    assert world.cluster.statuses == []


async def test_an_object_that_is_being_deleted_is_left_to_the_garbage_collector() -> None:
    world = World()
    world.body["metadata"] |= {"deletionTimestamp": "2026-01-02T03:04:05Z", "resourceVersion": "101"}
    world.cache.deployments.put(world.body)
    await world.reconcile()
    assert world.cluster.writes == []


async def test_an_unknown_version_keeps_what_runs_and_says_which_there_are() -> None:
    world = World()
    await world.reconcile()
    before = world.manifest(Kind.DEPLOYMENT)
    world.edit(triton={"version": "23.01"})
    await world.reconcile()
    assert world.condition("Accepted").reason == "UnknownVersion"
    assert "24.10" in world.condition("Accepted").message
    assert world.manifest(Kind.DEPLOYMENT) == before


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (
            {"models": [{"name": "digits", "format": "AOTInductor"}]},
            "UnsupportedByImage",
            "requires Triton 26.03 or newer",
        ),
        ({"triton": {"extraArgs": ["--allow-client-shm=true"]}}, "ServerArgumentInvalid", "--allow-client-shm"),
    ],
)
async def test_what_the_server_cannot_run_makes_no_pod_and_waits_for_a_person(
    change: dict[str, Any], reason: str, words: str
) -> None:
    world = World(**change)
    await world.reconcile()
    assert world.names(Kind.DEPLOYMENT) == []
    for condition in ("Accepted", "Ready", "Stalled"):
        assert world.condition(condition).reason == reason
    assert world.condition("Accepted").status is Truth.FALSE
    assert world.condition("Stalled").status is Truth.TRUE
    assert words in world.condition("Accepted").message


async def test_a_policy_is_restored_even_while_the_spec_is_rejected() -> None:
    world = World()
    await world.reconcile()
    world.edit(triton={"version": "23.01"})
    await world.reconcile()
    world.vanish(Kind.NETWORK_POLICY)
    await world.reconcile()
    assert world.names(Kind.NETWORK_POLICY) == ["digits"]
    assert world.condition("Accepted").reason == "UnknownVersion"


@pytest.mark.parametrize("fails", ["validate", "render_new_revision", "_build_in_order"])
async def test_an_error_of_the_operator_in_one_spec_stops_neither_its_status_nor_the_repair_of_its_children(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    world = World()
    await world.reconcile()
    running = world.template_hash

    def fail(*_: object) -> None:
        raise KeyError("name")

    monkeypatch.setattr(desired_state, fails, fail)
    world.edit(podLabels={"team": "vision"})
    world.change_child(Kind.NETWORK_POLICY, fingerprint="edited")
    world.change_child(Kind.DEPLOYMENT, fingerprint="edited")
    world.forget_writes()
    await world.reconcile()
    accepted = world.condition("Accepted")
    assert (accepted.status, accepted.reason) == (Truth.FALSE, "InvalidSpec")
    assert "the operator cannot render this spec" in accepted.message
    assert "KeyError: 'name'" in accepted.message
    assert world.cluster.writes[:2] == ["apply NetworkPolicy/digits", "apply Deployment/digits"]
    assert world.template_hash == running
    assert "cannot render shop/digits" in caplog.text


async def test_if_the_running_revision_cannot_be_rendered_either_nothing_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    await world.reconcile()

    def fail(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(desired_state, "build_children", fail)
    world.edit(podLabels={"team": "vision"})
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == ["status digits"]
    assert world.condition("Accepted").status is Truth.FALSE


async def test_a_rejected_child_does_not_keep_others_from_being_repaired() -> None:
    world = World()
    await world.reconcile()
    world.cluster.refuse = Kind.SERVICE_ACCOUNT
    world.change_child(Kind.SERVICE_ACCOUNT, fingerprint="edited")
    world.change_child(Kind.NETWORK_POLICY, fingerprint="opened")
    world.forget_writes()
    await world.reconcile()
    assert "apply NetworkPolicy/digits" in world.cluster.writes
    assert world.condition("Accepted").status is Truth.FALSE


async def test_an_autoscaled_deployment_that_somebody_stopped_is_started_again() -> None:
    world = World(autoscaling={"minReplicas": 2, "maxReplicas": 8})
    await world.reconcile()
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, replicas=0))
    await world.reconcile()
    assert _replicas(world) == 2
    assert world.condition("Ready").status is Truth.FALSE


async def test_a_late_event_of_a_deleted_child_does_not_replace_its_successor() -> None:
    world = World()
    await world.reconcile()
    dead = msgspec.structs.replace(world.child(Kind.SERVICE), uid="the-dead", resource_version=5)
    assert world.cache.children.put(dead) is None


async def test_a_change_that_the_operator_does_not_read_needs_no_pass() -> None:
    world = World()
    await world.reconcile()
    newer = msgspec.structs.replace(world.child(Kind.SERVICE), resource_version=world.cluster.next_version())
    assert world.cache.children.put(newer) is None
    assert (
        world.cache.children.put(msgspec.structs.replace(newer, has_foreign_fields=True, resource_version=10**6))
        == world.key
    )


async def test_a_status_that_somebody_else_wrote_is_written_again_even_after_a_rest() -> None:
    world = World()
    await world.reconcile()
    await world.reconcile()
    world.body["metadata"]["resourceVersion"] = str(10**6)
    world.body["status"] = {"observedGeneration": 7}
    assert world.cache.deployments.put(world.body)
    await world.reconcile()
    assert world.cluster.statuses[-1] == world.cluster.statuses[0]


async def test_a_revision_that_somebody_else_wrote_is_never_applied_to_pods() -> None:
    world = World()
    await world.reconcile()
    name = world.names(Kind.REVISION)[0]
    state = world.child(Kind.REVISION, name).state
    assert isinstance(state, RevisionState)
    evil = state.data.replace(b"example.org/triton-cpu:24.10", b"example.org/evil:1")
    world.change_child(
        Kind.REVISION, name, has_foreign_fields=True, state=msgspec.structs.replace(state, data=evil, number=99)
    )
    await world.reconcile()
    containers = world.manifest(Kind.DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == "example.org/triton-cpu:24.10"


async def test_a_version_that_is_no_release_is_rejected_with_its_path() -> None:
    world = World(triton={"image": "example.org/mine:1", "version": "26.1"})
    await world.reconcile()
    assert world.condition("Accepted").reason == "InvalidSpec"
    assert world.condition("Accepted").message.startswith("spec.triton.version: ")


@pytest.mark.parametrize("edits", [0, 1, 4])
async def test_after_one_pass_nothing_is_built_again_for_the_echo_of_our_own_writes(
    edits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with revisions that are kept for a rollback."""
    world = World()
    await world.reconcile()
    for number in range(edits):
        world.edit(models=[{"name": f"model-{number}"}])
        await world.reconcile()
        await world.reconcile()
    world.change_child(Kind.DEPLOYMENT)
    built: list[object] = []

    def count(*arguments: object, **_: object) -> list[object]:
        built.append(arguments)
        return []

    monkeypatch.setattr(desired_state, "build_children", count)
    await world.reconcile()
    assert built == []


async def test_a_manual_change_of_replicas_between_two_passes_is_reverted() -> None:
    world = World(replicas=2)
    await world.reconcile()
    for count in (5, 0, 2, 7):
        state = world.child(Kind.DEPLOYMENT).state
        assert isinstance(state, DeploymentState)
        world.change_child(Kind.DEPLOYMENT, state=msgspec.structs.replace(state, replicas=count))
        await world.reconcile()
        assert _replicas(world) == 2


async def test_a_stuck_pod_is_examined_again() -> None:
    world = World()
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, containers=()))
    assert await world.reconcile() is not None


def _replicas(world: World) -> int:
    state = world.child(Kind.DEPLOYMENT).state
    assert isinstance(state, DeploymentState)
    return state.replicas


async def test_nothing_is_written_to_a_deployment_that_is_being_deleted() -> None:
    """Every pass would otherwise transfer its replicas to the autoscaler again; its deletion starts the next pass."""
    world = World()
    await world.reconcile()
    world.change_child(Kind.DEPLOYMENT, deleting=True)
    world.forget_writes()
    world.edit(autoscaling={"maxReplicas": 8})
    await world.reconcile()
    assert not [write for write in world.cluster.writes if write.endswith("Deployment/digits")]
    assert "create HorizontalPodAutoscaler/digits" in world.cluster.writes
