"""`spec.adopt`: which objects without an owner become children, and what is reported about the others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.fakes import World, orphaned
from triton_operator.api.names import ANNOTATION_FILLED, MANAGER
from triton_operator.api.status import Truth
from triton_operator.cluster.adoptable import differences
from triton_operator.cluster.errors import InvalidObjectError, UnavailableError
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.protocol import Manifest
from triton_operator.resources.cache_claim import build_claim

CACHED: dict[str, Any] = {
    "modelRepository": {"http": {"url": "https://models.example.com/digits.tar"}},
    "cache": {"size": "1Gi", "egress": {"cidrs": ["192.0.2.0/24"]}},
}


def _edit_live(world: World, kind: Kind, name: str, change: Callable[[Manifest], object]) -> None:
    """Somebody else has changed the object, which the watch reports."""
    live = copy.deepcopy(world.manifest(kind, name))
    change(live)
    world.cluster.live[kind, "shop", name] = live
    world.change_child(kind, name, fingerprint=f"edited {world.cluster.next_version()}")


async def test_matching_children_are_adopted_and_nothing_is_created() -> None:
    world = await orphaned(adopt="Matching")
    uids = {identity: child.uid for identity, child in world.cluster.objects.items()}
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE
    verbs = {write.split()[0] for write in world.cluster.writes} - {"patch", "status"}
    assert verbs == {"adopt"}
    assert {identity: child.uid for identity, child in world.cluster.objects.items()} == uids
    assert {child.owner_uid for child in world.cluster.objects.values()} == {world.body["metadata"]["uid"]}
    world.forget_writes()
    await world.reconcile()
    assert world.cluster.writes == []


async def test_children_of_a_deleted_object_are_adopted() -> None:
    world = await orphaned(adopt="Matching")
    for kind, _, name in list(world.cluster.objects):
        world.change_child(kind, name, owner_uid="uid-of-an-older-digits")
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE


@pytest.mark.parametrize("adopt", [None, "Never"])
async def test_nothing_is_adopted_unless_the_user_says_so(adopt: str | None) -> None:
    world = await orphaned(**({"adopt": adopt} if adopt else {}))
    await world.reconcile()
    assert world.condition("Accepted").reason == "NameConflict"
    assert "Set spec.adopt to Matching" in world.condition("Accepted").message
    assert world.cluster.previews == []
    assert {child.owner_uid for child in world.cluster.objects.values()} == {""}


async def test_one_object_that_differs_prevents_the_adoption_of_all_and_all_are_named() -> None:
    world = await orphaned(adopt="Matching")
    _edit_live(world, Kind.DEPLOYMENT, "digits", _add_a_container)
    _edit_live(world, Kind.NETWORK_POLICY, "digits", lambda live: live["spec"].update(ingress=[{}]))
    again = await world.reconcile()
    accepted = world.condition("Accepted")
    assert accepted.reason == "AdoptionRefused"
    assert "Deployment digits (spec.template.spec.containers[spy])" in accepted.message
    assert "NetworkPolicy digits (spec.ingress)" in accepted.message
    assert "kubectl delete --cascade=orphan -n shop deployment/digits" in accepted.message
    assert "kubectl delete -n shop networkpolicy/digits" in accepted.message
    assert {child.owner_uid for child in world.cluster.objects.values()} == {""}
    assert again is not None, "the objects may be deleted at any time"


async def test_a_difference_costs_one_dry_run_until_something_changes() -> None:
    world = await orphaned(adopt="Matching")
    _edit_live(world, Kind.DEPLOYMENT, "digits", _add_a_container)
    await world.reconcile()
    world.cluster.previews.clear()
    await world.reconcile()
    assert "Deployment/digits" not in world.cluster.previews
    del world.cluster.live[Kind.DEPLOYMENT, "shop", "digits"]
    world.change_child(Kind.DEPLOYMENT, fingerprint="corrected")
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE


async def test_an_object_that_changes_while_it_is_compared_is_not_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await orphaned(adopt="Matching")
    preview = world.cluster.preview

    async def exchange(manifest: Manifest, live: Manifest) -> Manifest:
        if manifest["kind"] == "Service":
            world.change_unseen(Kind.SERVICE, manifest["metadata"]["name"], fingerprint="exchanged")
        return await preview(manifest, live)

    monkeypatch.setattr(world.cluster, "preview", exchange)
    with pytest.raises(Exception, match="another version"):
        await world.reconcile()
    assert world.child(Kind.SERVICE).owner_uid == ""


async def test_an_immutable_field_is_reported_in_the_words_of_the_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await orphaned(adopt="Matching")

    async def refuse(manifest: Manifest, _: Manifest) -> Manifest:
        if manifest["kind"] == "Deployment":
            raise InvalidObjectError("spec.selector: field is immutable", status=422)
        return manifest

    monkeypatch.setattr(world.cluster, "preview", refuse)
    await world.reconcile()
    assert "Deployment digits (spec.selector: field is immutable)" in world.condition("Accepted").message


async def test_an_outage_during_the_comparison_is_not_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await orphaned(adopt="Matching")

    async def fail(*_: Any) -> Manifest:
        raise UnavailableError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(world.cluster, "preview", fail)
        with pytest.raises(UnavailableError):
            await world.reconcile()
    await world.reconcile()
    assert world.condition("Accepted").status is Truth.TRUE


async def test_a_revision_with_another_template_is_never_used() -> None:
    """It would be the template of all pods."""
    world = await orphaned(adopt="Matching")
    (name,) = world.names(Kind.REVISION)
    _edit_live(world, Kind.REVISION, name, lambda live: live["data"].update(template={"spec": {"hostPID": True}}))
    await world.reconcile()
    assert f"ControllerRevision {name} (data.template." in world.condition("Accepted").message
    assert "'hostPID': True" not in str(world.manifest(Kind.DEPLOYMENT))


def test_a_claim_is_not_adopted_with_a_mark_that_would_survive() -> None:
    """Content of unknown origin would be served; an apply removes a mark that only the operator has set."""
    world = World(**CACHED)
    deployment = world.cache.deployments.get(world.key)
    assert deployment
    assert not isinstance(deployment.deployment, Exception)
    cache = deployment.deployment.spec.cache
    assert cache
    manifest = build_claim(deployment.deployment, "digits-cache", cache, "1Gi", filled=False)
    live = copy.deepcopy(manifest) | {"status": {"phase": "Bound"}}
    assert differences(manifest, live) == []
    live["metadata"]["annotations"] = {ANNOTATION_FILLED: "true"}
    mark = f"metadata.annotations[{ANNOTATION_FILLED}]"
    assert differences(manifest, live) == [mark]
    fields: Manifest = {"f:metadata": {"f:annotations": {f"f:{ANNOTATION_FILLED}": {}}}}
    ours = {"manager": MANAGER, "operation": "Apply", "fieldsV1": fields}
    live["metadata"]["managedFields"] = [ours]
    assert differences(manifest, live) == []
    live["metadata"]["managedFields"] = [ours, ours | {"operation": "Update"}]
    assert differences(manifest, live) == [mark]
    live["spec"]["accessModes"] = ["ReadWriteMany"]
    assert differences(manifest, live) == ["spec.accessModes", mark]


@pytest.mark.parametrize(
    ("owner", "differs"),
    [
        ({"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment", "name": "digits"}, False),
        ({"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment", "name": "other"}, True),
        ({"apiVersion": "example.com/v1", "kind": "ModelDeployment", "name": "digits"}, True),
        ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits"}, True),
    ],
)
async def test_only_a_deleted_namesake_may_be_an_owner(owner: dict[str, str], *, differs: bool) -> None:
    world = await orphaned()
    manifest: Manifest = msgspec.json.decode(msgspec.json.encode(world.manifest(Kind.SERVICE)))
    live = copy.deepcopy(manifest)
    live["metadata"]["ownerReferences"] = [owner | {"uid": "dead"}]
    found = differences(manifest, live, manifest)
    assert found == ([f"metadata.ownerReferences[{owner['kind']} {owner['name']}]"] if differs else [])


async def test_replicas_and_metadata_of_others_are_not_compared() -> None:
    """The operator does not revert them in its own children."""
    world = await orphaned()
    manifest: Manifest = msgspec.json.decode(msgspec.json.encode(world.manifest(Kind.DEPLOYMENT)))
    live = copy.deepcopy(manifest)
    live["spec"]["replicas"] = 7
    live["metadata"]["labels"]["velero.io/restore-name"] = "nightly"
    live["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    assert differences(manifest, live, manifest) == []
    live["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    assert differences(manifest, live, manifest) == ["metadata.labels[app.kubernetes.io/managed-by]"]


def _add_a_container(live: Manifest) -> None:
    live["spec"]["template"]["spec"]["containers"].append({"name": "spy", "image": "spy:1"})
