"""Unreadable or expensive objects, admitted by an older CRD, do not affect other objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace, Object
from tests.builders import a_body
from triton_operator.api.names import LABEL_DEPLOYMENT, LABEL_MANAGED_BY, MANAGER
from triton_operator.cluster.deep_json import LEVELS, cut
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, MODEL_DEPLOYMENTS, Resource

LATE = 180.0
LARGE = b'{"nodeAffinity":{"x":"' + b"x" * 900_000 + b'"}}'
LARGE_OBJECTS = 40
MOST_MEGABYTES = 120
"""For 40 objects of 900 KB each, that cost 4 to 7 MB each when they were kept."""


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.fixture
async def world(kubeconfig: Path, namespace: str) -> AsyncIterator[Namespace]:
    async with Namespace(kubeconfig, namespace) as created:
        yield created


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unbounded")
async def test_objects_that_are_too_deep_disturb_nobody(
    kubeconfig: Path, namespace: str, tmp_path: Path, api: Api, world: Namespace
) -> None:
    """Before and after a restart; their status reports the reason, and a child of this kind has no effect."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        for levels in (300, 985, 3_000):
            await asyncio.to_thread(poison, api, namespace, f"a-{levels}", deep(levels))
        await asyncio.to_thread(poison, api, namespace, "b-985", deep(985), place="podTemplate")
        await asyncio.to_thread(revision, api, namespace, deep(3_000))
        await world.create(1)
        await until(world, api, lambda bodies: all(map(is_observed, bodies.values())))
        bodies = await asyncio.to_thread(read, api, namespace)
        assert {name: accepted(body)["reason"] for name, body in bodies.items()} == {
            "a-300": "InvalidSpec",
            "a-985": "InvalidSpec",
            "a-3000": "InvalidSpec",
            "b-985": "InvalidSpec",
            "m-0": "Accepted",
        }
        for name in ("a-985", "b-985"):
            assert "spec: is nested deeper than 32 levels" in accepted(bodies[name])["message"]
        operator.kill()
        operator.start()
        operator.wait_ready()
        await world.edit("m-0", replicas=3)
        await until(world, api, lambda bodies: is_observed(bodies["m-0"]))
        (deployment,) = await world.children(Kind.DEPLOYMENT)
        assert deployment["spec"]["replicas"] == 3
        assert operator.is_healthy()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unbounded")
async def test_large_objects_cost_little(
    kubeconfig: Path, namespace: str, tmp_path: Path, api: Api, world: Namespace
) -> None:
    """While they are created, and at startup."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        empty = operator.resident_megabytes()
        for number in range(LARGE_OBJECTS):
            await asyncio.to_thread(poison, api, namespace, f"a-{number}", LARGE)
        await world.create(1)
        await until(world, api, lambda bodies: all(map(is_observed, bodies.values())))
        coming = operator.most_megabytes() - empty
        operator.kill()
        operator.start()
        operator.wait_ready()
        await world.edit("m-0", replicas=3)
        await until(world, api, lambda bodies: is_observed(bodies["m-0"]))
        starting = operator.most_megabytes() - empty
    print(f"{LARGE_OBJECTS} objects of 900 KB: {coming:.0f} MB while they come, {starting:.0f} MB at a start")
    assert max(coming, starting) < MOST_MEGABYTES


@pytest.mark.timeout(600)
async def test_an_object_that_grows_as_json_disturbs_nobody(
    kubeconfig: Path, namespace: str, tmp_path: Path, api: Api, world: Namespace
) -> None:
    """The API server writes six bytes for each `<`, so 1.5 MB become 9 MB in a list, more than any page of many."""
    labels = {LABEL_MANAGED_BY: MANAGER, LABEL_DEPLOYMENT: "theirs"}
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "<" * 250_000, "uid": "u"}
    metadata = {"name": "a", "labels": labels, "annotations": {"a": "<" * 250_000}, "ownerReferences": [owner]}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "<" * 1_000_000}}
    await asyncio.to_thread(api.create, CHILDREN[Kind.CONFIG_MAP].path(namespace), body)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        await world.create(1)
        await until(world, api, lambda bodies: all(map(is_observed, bodies.values())))


@pytest.mark.parametrize("levels", [100, 985, 3_000])
def test_the_definition_lets_no_depths_in(levels: int, api: Api, namespace: str) -> None:
    """Unknown fields are dropped, or rejected if the client requests strict validation, as kubectl does."""
    stored = orjson.loads(poison(api, namespace, "deep", deep(levels)))
    assert stored["spec"]["scheduling"]["affinity"] == {"nodeAffinity": {}}
    with pytest.raises(RequestRefusedError, match="unknown field"):
        poison(api, namespace, "strict", deep(levels), fieldValidation="Strict")


def poison(api: Api, namespace: str, name: str, value: bytes, *, place: str = "scheduling", **query: str) -> bytes:
    """An object with this value in its affinity, or in its pod template; returns the stored object."""
    field = "affinity" if place == "scheduling" else "spec"
    body = a_body(name, namespace, **{place: {field: {"nodeAffinity": "HERE"}}})
    body["metadata"] = {"name": name, "namespace": namespace}
    content = orjson.dumps(body).replace(b'"HERE"', value)
    return api.create_from(MODEL_DEPLOYMENTS.path(namespace), content, **query)


def revision(api: Api, namespace: str, data: bytes) -> None:
    """A ControllerRevision with the operator's labels, of another owner."""
    kind: Resource = CHILDREN[Kind.REVISION]
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "theirs", "labels": {LABEL_MANAGED_BY: MANAGER, LABEL_DEPLOYMENT: "m-0"}},
        "revision": 1,
        "data": "HERE",
    }
    api.create_from(kind.path(namespace), orjson.dumps(body).replace(b'"HERE"', data))


async def until(world: Namespace, api: Api, look: Callable[[dict[str, Object]], bool]) -> None:
    async with asyncio.timeout(LATE):
        while not look(await asyncio.to_thread(read, api, world.name)):  # noqa: ASYNC110 - the server does not know
            await asyncio.sleep(0.5)


def read(api: Api, namespace: str) -> dict[str, Object]:
    """Every object by name, without deep values, which Python's decoder cannot read."""
    answer = orjson.loads(cut(api.get_bytes(MODEL_DEPLOYMENTS.path(namespace)), LEVELS))
    return {body["metadata"]["name"]: body for body in answer["items"]}


def is_observed(body: Object) -> bool:
    return bool(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"])


def accepted(body: Object) -> Object:
    return next(each for each in body["status"]["conditions"] if each["type"] == "Accepted")
