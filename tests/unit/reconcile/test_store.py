"""What the operator knows of the cluster: no order of events and answers leaves it with what is out of date."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import a_body, a_pod
from tests.fakes import World
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.errors import NotFoundError
from triton_operator.cluster.observed import Child, Kind
from triton_operator.reconcile.store import Store

DIGITS, OTHER = ("shop", "digits"), ("shop", "other")


def a_child(version: int, uid: str = "uid", **fields: Any) -> Child:
    """A Service of `digits`."""
    defaults = {"kind": Kind.SERVICE, "namespace": "shop", "name": "digits", "deployment": "digits"}
    return Child(**{**defaults, "uid": uid, "resource_version": version, **fields})


def a_version(version: int, **spec: Any) -> dict[str, Any]:
    """The object `digits` at a version; a spec makes its next generation."""
    body = a_body(**spec)
    body["metadata"] |= {"resourceVersion": str(version), "generation": 2 if spec else 1}
    return body


async def test_an_edit_that_only_the_answer_to_our_status_write_shows_is_acted_on() -> None:
    world = World()
    edited = a_version(102, replicas=5)
    world.cluster.bodies[world.key] = edited  # Stored before our write, and its event is still on the way.
    assert await world.reconcile() == 0.0
    assert not world.store.put_deployment(edited)  # The event, late now.
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 5
    assert world.status.observed_generation == 2


@pytest.mark.parametrize("order", ["event first", "answer first"])
def test_the_spec_of_an_edit_is_known_in_whatever_order_it_is_told(order: str) -> None:
    store = Store()
    store.put_deployment(a_version(10))
    if order == "event first":
        store.put_deployment(a_version(11, replicas=5))
    store.take_answer(a_version(12, replicas=5))
    store.put_deployment(a_version(11, replicas=5))
    known = store.view(DIGITS).known
    assert known is not None
    assert (known.resource_version, known.deployment.spec.replicas) == (12, 5)  # type: ignore[union-attr]


def test_a_spec_is_read_again_only_for_another_generation() -> None:
    """A status write must not cost as much as an edit."""
    store = Store()
    store.put_deployment(a_version(10))
    read = _deployment(store)
    store.take_answer(a_version(11))
    assert _deployment(store) is read
    store.put_deployment(a_version(12))
    assert _deployment(store) is read
    store.put_deployment(a_version(13, replicas=5))
    assert _deployment(store).spec.replicas == 5
    reborn = a_version(14, replicas=6)
    reborn["metadata"]["uid"] = "reborn"
    store.put_deployment(reborn)
    assert _deployment(store).spec.replicas == 6


def _deployment(store: Store) -> ModelDeployment:
    known = store.view(DIGITS).known
    assert known is not None
    assert isinstance(known.deployment, ModelDeployment)
    return known.deployment


def test_an_answer_about_a_dead_object_says_nothing_about_its_namesake() -> None:
    store = Store()
    reborn = a_version(20)
    reborn["metadata"]["uid"] = "reborn"
    store.put_deployment(reborn)
    store.take_answer(a_version(30, replicas=5))
    known = store.view(DIGITS).known
    assert known is not None
    assert known.metadata.uid == "reborn"


async def test_an_object_that_is_not_there_when_its_status_is_written_is_forgotten() -> None:
    world = World()
    world.cluster.write_status = _gone  # type: ignore[method-assign,assignment]
    await world.reconcile()
    assert world.store.keys() == set()
    assert world.key not in world.reconciler._memories


async def _gone(*_: Any) -> dict[str, Any]:
    raise NotFoundError("not found", status=404)


def test_a_relabelled_pod_leaves_its_deployment_and_both_are_woken() -> None:
    store = Store()
    store.put_pod(a_pod(revision="1", resource_version=1))
    assert store.put_pod(a_pod(revision="1", resource_version=2, deployment="other")) == {DIGITS, OTHER}
    assert store.view(DIGITS).pods == ()
    assert [pod.name for pod in store.view(OTHER).pods] == ["digits-1"]


def test_the_end_of_a_relabelled_pod_is_noticed_whatever_label_it_is_told_with() -> None:
    store = Store()
    store.put_pod(a_pod(revision="1", resource_version=1))
    assert store.drop_pod(a_pod(revision="1", resource_version=3, deployment="other")) == DIGITS
    assert store.view(DIGITS).pods == ()


def test_a_list_in_which_a_pod_has_another_label_moves_it() -> None:
    store = Store()
    store.put_pod(a_pod(revision="1", resource_version=1))
    assert store.replace_pods([a_pod(revision="1", resource_version=2, deployment="other")], None, 5) == {DIGITS, OTHER}
    assert store.view(DIGITS).pods == ()


def test_a_child_that_is_younger_than_a_list_is_not_taken_for_gone() -> None:
    store = Store()
    store.put_child(a_child(12))  # The answer to our own write, while the list was under way.
    assert store.replace_children(Kind.SERVICE, [], None, as_of=11) == set()
    assert store.view(DIGITS).children
    assert store.replace_children(Kind.SERVICE, [], None, as_of=12) == {DIGITS}
    assert not store.view(DIGITS).children


def test_an_answer_that_comes_after_the_end_of_the_child_does_not_bring_it_back() -> None:
    store = Store()
    store.begin(DIGITS)
    store.put_child(a_child(11))
    store.drop_child(a_child(13))
    assert store.put_child(a_child(12)) is None
    assert not store.view(DIGITS).children
    assert store.put_child(a_child(14, uid="next")) == DIGITS


def test_a_late_loss_of_the_label_does_not_hide_that_it_is_back() -> None:
    store = Store()
    store.put_child(a_child(11))
    store.put_child(a_child(13))  # The answer to an apply that brought the label back.
    assert store.drop_child(a_child(12)) is None
    assert store.view(DIGITS).children


def test_a_list_of_a_restored_backup_replaces_what_is_newer() -> None:
    store = Store()
    store.put_child(a_child(5000))
    store.replace_children(Kind.SERVICE, [], None)
    store.replace_children(Kind.SERVICE, [a_child(3000)], None, as_of=3000)
    assert [child.resource_version for child in store.view(DIGITS).children.values()] == [3000]
