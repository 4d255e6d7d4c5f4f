"""The operator's cache of the cluster: no order of events and responses leaves obsolete data in it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.builders import a_body, a_pod
from tests.fakes import World
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.cluster.errors import NotFoundError
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Child, IngressState, Kind

DIGITS, OTHER = ("shop", "digits"), ("shop", "other")


def a_child(version: int, uid: str = "uid", **fields: Any) -> Child:
    """A Service of `digits`."""
    defaults = {"kind": Kind.SERVICE, "namespace": "shop", "name": "digits", "deployment": "digits"}
    return Child(**{**defaults, "uid": uid, "resource_version": version, **fields})


def a_version(version: int, **spec: Any) -> dict[str, Any]:
    """The object `digits` at a version; a spec increments its generation."""
    body = a_body(**spec)
    body["metadata"] |= {"resourceVersion": str(version), "generation": 2 if spec else 1}
    return body


async def test_an_edit_that_only_the_response_to_our_status_write_shows_is_acted_on() -> None:
    world = World()
    edited = a_version(102, replicas=5)
    world.cluster.bodies[world.key] = edited  # Stored before the write, and its event is still on the way.
    assert await world.reconcile() == 0.0
    assert not world.cache.deployments.put(edited)  # The event, late now.
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 5
    assert world.status.observed_generation == 2


@pytest.mark.parametrize("order", ["event first", "answer first"])
def test_the_spec_of_an_edit_is_known_in_whatever_order_it_is_reported(order: str) -> None:
    cache = ObjectCache()
    cache.deployments.put(a_version(10))
    if order == "event first":
        cache.deployments.put(a_version(11, replicas=5))
    cache.deployments.put_response(a_version(12, replicas=5))
    cache.deployments.put(a_version(11, replicas=5))
    known = cache.deployments.get(DIGITS)
    assert known is not None
    assert (known.resource_version, known.deployment.spec.replicas) == (12, 5)  # type: ignore[union-attr]


def test_a_spec_is_read_again_only_for_another_generation() -> None:
    """A status write must be cheaper than an edit."""
    cache = ObjectCache()
    cache.deployments.put(a_version(10))
    read = _deployment(cache)
    cache.deployments.put_response(a_version(11))
    assert _deployment(cache) is read
    cache.deployments.put(a_version(12))
    assert _deployment(cache) is read
    cache.deployments.put(a_version(13, replicas=5))
    assert _deployment(cache).spec.replicas == 5
    reborn = a_version(14, replicas=6)
    reborn["metadata"]["uid"] = "reborn"
    cache.deployments.put(reborn)
    assert _deployment(cache).spec.replicas == 6


def _deployment(cache: ObjectCache) -> ModelDeployment:
    known = cache.deployments.get(DIGITS)
    assert known is not None
    assert isinstance(known.deployment, ModelDeployment)
    return known.deployment


def under(definition: str, version: int, **spec: Any) -> dict[str, Any]:
    """The object as the API server shows it with a definition; its generation does not change with it."""
    body = orjson.loads(project_deployment(orjson.dumps(a_body(**spec) | {"kind": definition})))
    body["metadata"] |= {"resourceVersion": str(version), "generation": 1}
    return dict(body)


@pytest.mark.parametrize("source", ["event", "response"])
def test_a_spec_that_another_definition_shows_for_the_same_version_is_read(source: str) -> None:
    """A watch that began with the older definition still removes the fields that it does not have."""
    cache = ObjectCache().deployments
    cache.put(under("older", 10))
    shown = under("newer", 10, podLabels={"team": "vision"})
    if source == "event":
        assert cache.put(shown), "it is a reason for a pass"
        assert not cache.put(shown)
    else:
        cache.put_response(shown)
    record = cache.get(DIGITS)
    assert record
    assert isinstance(record.deployment, ModelDeployment)
    assert record.deployment.spec.pod_labels == {"team": "vision"}


def test_upgrading_deployments_are_known_without_a_look_at_all_others() -> None:
    cache = ObjectCache().deployments
    waiting = {"observedGeneration": 1, "upgrade": {"state": "Waiting"}}
    cache.put(a_body("other"))
    cache.put(a_version(10) | {"status": waiting})
    assert cache.upgrading().keys() == {DIGITS}
    cache.put_response(a_version(11) | {"status": {"observedGeneration": 1}})
    assert not cache.upgrading()
    cache.put_response(a_version(12) | {"status": waiting})
    assert cache.upgrading()[DIGITS] is cache.get(DIGITS)
    cache.remove(*DIGITS)
    assert not cache.upgrading()


def test_a_response_about_a_deleted_object_says_nothing_about_another_one_of_the_same_name() -> None:
    cache = ObjectCache()
    reborn = a_version(20)
    reborn["metadata"]["uid"] = "reborn"
    cache.deployments.put(reborn)
    cache.deployments.put_response(a_version(30, replicas=5))
    known = cache.deployments.get(DIGITS)
    assert known is not None
    assert known.metadata.uid == "reborn"


async def test_an_object_that_is_not_there_when_its_status_is_written_is_forgotten() -> None:
    world = World()
    world.cluster.write_status = _gone  # type: ignore[method-assign,assignment]
    await world.reconcile()
    assert world.cache.deployments.keys() == set()
    assert world.key not in world.reconciler._memories


async def _gone(*_: Any) -> dict[str, Any]:
    raise NotFoundError("not found", status=404)


def test_a_relabelled_pod_leaves_its_deployment_and_both_are_enqueued() -> None:
    cache = ObjectCache()
    cache.pods.put(a_pod(revision="1", resource_version=1))
    assert cache.pods.put(a_pod(revision="1", resource_version=2, deployment="other")) == {DIGITS, OTHER}
    assert cache.pods.get(DIGITS) == ()
    assert [pod.name for pod in cache.pods.get(OTHER)] == ["digits-1"]


def test_the_end_of_a_relabelled_pod_is_noticed_whatever_label_it_is_reported_with() -> None:
    cache = ObjectCache()
    cache.pods.put(a_pod(revision="1", resource_version=1))
    assert cache.pods.remove(a_pod(revision="1", resource_version=3, deployment="other")) == DIGITS
    assert cache.pods.get(DIGITS) == ()


def test_a_list_in_which_a_pod_has_another_label_moves_it() -> None:
    cache = ObjectCache()
    cache.pods.put(a_pod(revision="1", resource_version=1))
    assert cache.pods.replace([a_pod(revision="1", resource_version=2, deployment="other")], None, 5) == {DIGITS, OTHER}
    assert cache.pods.get(DIGITS) == ()


def test_a_child_that_is_younger_than_a_list_is_not_taken_for_gone() -> None:
    cache = ObjectCache()
    cache.children.put(a_child(12))  # The answer to the operator's own write, while the list was under way.
    assert cache.children.replace(Kind.SERVICE, [], None, as_of=11) == set()
    assert cache.children.get(DIGITS)
    assert cache.children.replace(Kind.SERVICE, [], None, as_of=12) == {DIGITS}
    assert not cache.children.get(DIGITS)


def test_the_deployments_of_a_host_are_known_without_a_look_at_all_others() -> None:
    cache = ObjectCache().children
    http = {"kind": Kind.INGRESS, "name": "digits-http"}
    both = IngressState(hosts=("a.example.com", "b.example.com"))
    cache.put(a_child(1, uid="service"))
    cache.put(a_child(2, uid="http", **http, state=both))
    cache.put(a_child(3, uid="grpc", **http | {"name": "digits-grpc"}, state=both))
    cache.put(a_child(4, uid="theirs", **http | {"name": "other-http"}, deployment="other", state=both))
    assert cache.with_hosts(["a.example.com"]) == {DIGITS, OTHER}
    assert not cache.with_hosts(["c.example.com"])
    cache.put(a_child(5, uid="http", **http, state=IngressState(hosts=("c.example.com",))))
    assert cache.with_hosts(["b.example.com"]) == {DIGITS, OTHER}
    cache.remove(a_child(6, uid="grpc", **http | {"name": "digits-grpc"}))
    assert cache.with_hosts(["a.example.com", "b.example.com"]) == {OTHER}
    cache.put(a_child(7, uid="reborn", **http, state=both))
    assert not cache.with_hosts(["c.example.com"])
    assert cache.with_hosts(["a.example.com"]) == {DIGITS, OTHER}
    cache.replace(Kind.INGRESS, [], None)
    assert not cache.with_hosts(["a.example.com"])


def test_a_response_that_comes_after_the_end_of_the_child_does_not_bring_it_back() -> None:
    cache = ObjectCache()
    cache.children.begin_pass(DIGITS)
    cache.children.put(a_child(11))
    cache.children.remove(a_child(13))
    assert cache.children.put(a_child(12)) is None
    assert not cache.children.get(DIGITS)
    assert cache.children.put(a_child(14, uid="next")) == DIGITS


def test_a_late_loss_of_the_label_does_not_hide_that_it_is_back() -> None:
    cache = ObjectCache()
    cache.children.put(a_child(11))
    cache.children.put(a_child(13))  # The answer to an apply that brought the label back.
    assert cache.children.remove(a_child(12)) is None
    assert cache.children.get(DIGITS)


def test_a_list_of_a_restored_backup_replaces_what_is_newer() -> None:
    cache = ObjectCache()
    cache.children.put(a_child(5000))
    cache.children.replace(Kind.SERVICE, [], None)
    cache.children.replace(Kind.SERVICE, [a_child(3000)], None, as_of=3000)
    assert [child.resource_version for child in cache.children.get(DIGITS).values()] == [3000]
