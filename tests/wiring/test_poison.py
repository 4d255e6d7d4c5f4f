"""An unreadable object does not affect other objects, whatever makes it unreadable."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from tests.builders import a_body
from tests.fake_api_server import FakeApiServer
from tests.wiring.conftest import Running
from triton_operator.api.errors import InvalidSpecError
from triton_operator.cluster.deployment_projection import project_deployment
from triton_operator.runtime import event_handlers, kopf_session

PLURAL = "modeldeployments"
COLLECTION = "/apis/triton-operator.io/v1alpha1/namespaces/shop/modeldeployments"
POISON, OTHER = ("shop", "poison"), ("shop", "other")


def deep_event(levels: int) -> bytes:
    """A new object with this many levels in a field that is passed through unchanged."""
    body = a_body()
    body["metadata"] = {"name": "poison", "namespace": "shop", "uid": "p", "resourceVersion": "150"}
    body["spec"]["scheduling"] = {"affinity": {"nodeAffinity": "HERE"}}
    deep = b'{"a":' * levels + b"1" + b"}" * levels
    return orjson.dumps({"type": "ADDED", "object": body}).replace(b'"HERE"', deep)


async def test_an_object_that_the_cache_cannot_read_is_skipped(
    server: FakeApiServer, operator: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its log record has its name, and nothing of its content."""

    def refuse(body: dict[str, Any]) -> bool:
        if body["metadata"]["name"] == "poison":
            raise ZeroDivisionError("with words out of the object")
        return take_in(body)

    take_in = operator.cache.deployments.put
    monkeypatch.setattr(operator.cache.deployments, "put", refuse)
    await operator.quiet()
    await server.put(f"{COLLECTION}/poison", a_body("poison"))
    await server.put(f"{COLLECTION}/other", a_body("other"))
    await operator.passed(OTHER)
    assert "skipped ModelDeployment shop/poison, which cannot be decoded (ZeroDivisionError)" in caplog.text
    assert "with words" not in caplog.text


@pytest.mark.parametrize("levels", [300, 985, 5_000])
async def test_events_after_an_object_that_is_too_deep_are_handled(
    levels: int, server: FakeApiServer, operator: Running
) -> None:
    """The object itself is reported, and the watch continues."""
    await operator.quiet()
    lists = server.requests["GET", "/apis/triton-operator.io/v1alpha1/modeldeployments"]
    await server.send_line(PLURAL, deep_event(levels))
    await server.put(f"{COLLECTION}/other", a_body("other"))
    await operator.passed(OTHER)
    await operator.passed(POISON)
    known = operator.cache.deployments.get(POISON)
    assert known
    assert isinstance(known.deployment, InvalidSpecError)
    assert server.requests["GET", "/apis/triton-operator.io/v1alpha1/modeldeployments"] == lists
    assert operator.process.progress.stuck_seconds() == 0


async def test_any_other_exception_skips_only_one_object(
    server: FakeApiServer, operator: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the watch and in a list; it is counted, and the log has its name and nothing of its content."""

    def refuse(item: bytes | msgspec.Raw) -> bytes:
        if b'"poison"' in bytes(item):
            raise ZeroDivisionError("with words out of the object")
        return project_deployment(item)

    for module in (event_handlers, kopf_session):
        monkeypatch.setattr(module, "project_deployment", refuse)
    await operator.quiet()
    await server.put(f"{COLLECTION}/poison", a_body("poison"))
    await server.put(f"{COLLECTION}/other", a_body("other"))
    await operator.passed(OTHER)
    await server.put(f"{COLLECTION}/others", a_body("others"))
    await operator.process.resync.succeed()
    await operator.passed(("shop", "others"))
    assert operator.cache.deployments.get(POISON) is None
    assert "skipped ModelDeployment shop/poison, which cannot be decoded (ZeroDivisionError)" in caplog.text
    assert "with words" not in caplog.text
    _, metrics = await operator.ask("/metrics")
    assert 'triton_operator_unreadable_objects_total{kind="ModelDeployment"} 2.0' in metrics
