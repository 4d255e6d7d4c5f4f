"""Which event enqueues which key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest

from tests.builders import a_body
from tests.fake_api_server import FakeApiServer
from tests.wiring.conftest import Running
from triton_operator.api.network_probe import RESULT_KEY, NetworkProbe, encode
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.runtime.event_handlers import DeploymentHandler

DIGITS = ("shop", "digits")
DIGITS_PATH = "/apis/triton-operator.io/v1alpha1/namespaces/shop/modeldeployments/digits"
SERVICE_PATH = "/api/v1/namespaces/shop/services/digits"
POD_PATH = "/api/v1/namespaces/shop/pods/digits-1"


def labelled(**content: Any) -> dict[str, Any]:
    """A child or pod of `digits`."""
    return {"metadata": {"labels": {"triton-operator.io/model-deployment": "digits"}}, **content}


async def test_objects_that_exist_already_are_reconciled_once_at_the_start(
    server: FakeApiServer, start: Callable[..., Running]
) -> None:
    """The operator's first list and Kopf's report the same object, and one pass is enough."""
    await server.put(DIGITS_PATH, a_body())
    operator = start()
    await operator.passed(DIGITS)
    await server.watched("modeldeployments")
    await operator.process.queue.idle()
    assert operator.passes == [DIGITS]


async def test_kopf_gets_no_version_that_is_known(
    server: FakeApiServer, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither from a list nor from a write of the operator, because Kopf starts a task for every object."""
    handled = []

    def handle(self: DeploymentHandler, body: dict[str, Any]) -> None:
        handled.append(body["metadata"]["resourceVersion"])
        put(self, body)

    put = DeploymentHandler.put
    monkeypatch.setattr(DeploymentHandler, "put", handle)
    stored = await server.put(DIGITS_PATH, a_body())
    operator = start()
    await server.watched("modeldeployments")
    await operator.quiet()
    echo = a_body()
    echo["metadata"] = {**stored["metadata"], "resourceVersion": "500"}
    operator.cache.deployments.put_response(orjson.loads(project_deployment(json.dumps(echo).encode())))
    for version in ("500", "501"):
        shown = {**echo, "metadata": {**echo["metadata"], "resourceVersion": version, "generation": int(version)}}
        await server.send("modeldeployments", {"type": "MODIFIED", "object": shown})
    await operator.passed(DIGITS)
    assert handled == [stored["metadata"]["resourceVersion"], "501"]
    assert operator.process.deployments.reached == 501


async def test_at_the_start_an_edit_without_a_status_is_reconciled_first(
    server: FakeApiServer, start: Callable[..., Running]
) -> None:
    """However many objects have not changed since their status was written."""
    edited, new = "edited-9", "new-9"
    for name in [*(f"calm-{number}" for number in range(8)), edited, new]:
        body = a_body(name)
        body["metadata"]["generation"] = 2
        observed = {edited: 1, new: -1}.get(name, 2)
        body["status"] = {"observedGeneration": observed}
        await server.put(DIGITS_PATH.replace("digits", name), body)
    operator = start()
    for name in ("calm-7", edited, new):
        await operator.passed(("shop", name))
    assert set(operator.passes[:2]) == {("shop", edited), ("shop", new)}


async def test_a_new_object_enqueues_its_key(server: FakeApiServer, operator: Running) -> None:
    """Kopf's watch reports it."""
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)


async def test_a_new_generation_enqueues_and_a_mere_annotation_does_not(
    server: FakeApiServer, operator: Running
) -> None:
    """Only changes that a pass uses are enqueued."""
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    await operator.quiet()
    noted = a_body()
    noted["metadata"]["annotations"] = {"note": "x"}
    await server.put(DIGITS_PATH, noted)
    changed = a_body(replicas=2)
    changed["metadata"]["generation"] = 2
    await server.put(DIGITS_PATH, changed)
    await operator.passed(DIGITS)
    await operator.process.queue.idle()
    assert operator.passes == [DIGITS]


async def test_a_deleted_object_enqueues_its_key_once_more(server: FakeApiServer, operator: Running) -> None:
    """The reconciler must forget it."""
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    await operator.quiet()
    await server.remove(DIGITS_PATH)
    await operator.passed(DIGITS)
    assert operator.cache.deployments.keys() == set()


@pytest.mark.parametrize("path", [SERVICE_PATH, POD_PATH])
async def test_children_and_pods_enqueue_the_deployment_of_their_label(
    server: FakeApiServer, operator: Running, path: str
) -> None:
    """When they are added, changed or deleted."""
    await server.put(path, labelled())
    await operator.passed(DIGITS, times=1)
    await server.put(path, labelled(spec={"type": "NodePort"}, status={"phase": "Running"}))
    await operator.passed(DIGITS, times=2)
    await server.remove(path)
    await operator.passed(DIGITS, times=3)


async def test_a_child_that_vanished_in_a_gap_enqueues_its_key(server: FakeApiServer, operator: Running) -> None:
    """The stream reports that it cannot continue; the new list shows which object is missing."""
    await server.put(SERVICE_PATH, labelled())
    await operator.passed(DIGITS)
    await operator.quiet()
    server.lose(SERVICE_PATH)
    await server.send("services", {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
    await operator.passed(DIGITS)
    assert operator.cache.children.get(DIGITS) == {}


async def test_an_object_that_vanished_in_a_gap_is_found_by_the_resync(
    server: FakeApiServer, operator: Running
) -> None:
    """Kopf reports no deletion in a gap, because its streams start with the existing objects."""
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    await operator.quiet()
    server.lose(DIGITS_PATH)
    await operator.process.resync.succeed()
    await operator.passed(DIGITS)
    assert operator.cache.deployments.keys() == set()


async def test_the_late_deletion_of_an_object_of_the_same_name_does_not_hide_the_new_one(operator: Running) -> None:
    """Kopf handles objects of different uids concurrently, so the order may differ."""
    old, new = a_body(), a_body()
    old["metadata"] |= {"uid": "old", "resourceVersion": "200"}
    new["metadata"] |= {"uid": "new", "resourceVersion": "202"}
    operator.process.deployments.put(old)
    operator.process.deployments.put(new)
    old["metadata"]["resourceVersion"] = "201"
    operator.process.deployments.drop(old)
    assert operator.cache.deployments.keys() == {DIGITS}


async def test_a_list_older_than_the_watch_takes_nothing_back(operator: Running) -> None:
    """An object that was created after the list is not deleted."""
    body = a_body()
    body["metadata"]["resourceVersion"] = "300"
    operator.process.deployments.put(body)
    operator.process.deployments.listed([], version=299)
    assert operator.cache.deployments.keys() == {DIGITS}
    operator.process.deployments.listed([], version=300)
    assert operator.cache.deployments.keys() == set()


async def test_a_list_older_than_a_deletion_does_not_bring_the_object_back(operator: Running) -> None:
    """The list was read before the deletion and handled after it; so was an even older one of Kopf's."""
    body = a_body()
    body["metadata"]["resourceVersion"] = "300"
    handler = operator.process.deployments
    handler.put(body)
    handler.drop({**body, "metadata": {**body["metadata"], "resourceVersion": "302"}})
    view = handler.read(msgspec.Raw(msgspec.json.encode(body)))
    handler.listed([view] if view else [], version=301)
    assert operator.cache.deployments.keys() == set()
    handler.listed([], version=303)
    handler.put(body)
    assert operator.cache.deployments.keys() == set()
    reborn = {**body, "metadata": {**body["metadata"], "uid": "new", "resourceVersion": "304"}}
    handler.put(reborn)
    assert operator.cache.deployments.keys() == {DIGITS}


async def test_deletions_are_remembered_for_two_lists_only(operator: Running) -> None:
    """Their number must not grow indefinitely."""
    body = a_body()
    body["metadata"]["resourceVersion"] = "300"
    handler = operator.process.deployments
    handler.put(body)
    handler.listed([], version=301)
    assert operator.cache.deployments.keys() == set()
    assert handler._gone == {DIGITS: 301}
    handler.listed([], version=302)
    assert handler._gone == {}


async def test_only_the_configured_namespace_is_watched(server: FakeApiServer, start: Callable[..., Running]) -> None:
    """No request is sent for other namespaces, because the operator has no permission for them."""
    start(namespace="shop")
    async with asyncio.timeout(60):
        await server.watched("modeldeployments", "services", "pods")
    outside = [
        path for _, path in server.requests if "/namespaces/shop/" not in path and not path.startswith("/apis/triton")
    ]
    assert {path for path in outside if path.count("/") > 3} == set()
    assert server.stored("/apis/coordination.k8s.io/v1/namespaces/shop/leases/triton-operator") is not None


async def test_a_policy_of_somebody_else_enqueues_the_deployments_whose_pods_it_opens(
    operator: Running, server: FakeApiServer
) -> None:
    """And again when it is deleted, or no longer selects them; one that allows nothing does not matter."""
    path = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    quiet: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Egress"]}
    opening: dict[str, Any] = {**quiet, "egress": [{}]}
    elsewhere = {**opening, "podSelector": {"matchLabels": {"app": "bank"}}}
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    await operator.quiet()
    await server.put(f"{path}/quiet", {"spec": quiet})
    await server.put(f"{path}/elsewhere", {"spec": elsewhere})
    for number, spec in enumerate((opening, elsewhere, opening), start=1):
        await server.put(f"{path}/dns", {"spec": spec})
        await operator.passed(DIGITS, number)
    await server.remove(f"{path}/dns")
    await operator.passed(DIGITS, 4)
    assert operator.passes.count(DIGITS) == 4


async def test_a_result_of_the_probe_enqueues_every_deployment(operator: Running, server: FakeApiServer) -> None:
    path = "/api/v1/namespaces/operators/configmaps/triton-operator-network-probe"
    probe = NetworkProbe("2026-05-20T10:00:00Z", "v1.36.1", ("node-1",), ingress=True, egress=True)
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    await operator.quiet()
    for number, (text, expected) in enumerate([(encode(probe), probe), ("of somebody else", None)] * 2, start=1):
        await server.put(path, {"data": {RESULT_KEY: text}})
        await operator.passed(DIGITS, number)
        assert operator.cache.network_probe == expected
    await server.put(path, {"data": {RESULT_KEY: encode(probe)}})
    await operator.passed(DIGITS, 5)
    await server.remove(path)
    await operator.passed(DIGITS, 6)
    assert operator.cache.network_probe is None
