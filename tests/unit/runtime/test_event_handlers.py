"""The cache and the queue if lists and events arrive in another order than they happened."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.builders import a_body
from triton_operator.api.spec import ModelDeployment
from triton_operator.cluster.deployment_cache import DeploymentCache
from triton_operator.runtime.event_handlers import DeploymentHandler
from triton_operator.runtime.work_queue import WorkQueue


def a_version(uid: str, version: int) -> dict[str, Any]:
    """The ModelDeployment `digits` with this uid and version."""
    body = a_body()
    body["metadata"] |= {"uid": uid, "resourceVersion": str(version)}
    return body


async def test_a_late_deletion_of_an_earlier_object_does_not_bring_back_a_later_one() -> None:
    """Kopf keeps the order of events only for each uid."""
    cache = DeploymentCache()
    handler = DeploymentHandler(cache, WorkQueue())
    second = a_version("second", 3)
    handler.put(second)
    handler.drop(a_version("second", 5))
    handler.drop(a_version("first", 2))
    item = msgspec.Raw(msgspec.json.encode(second))  # of a list that began before the deletion
    view = handler.read(item)
    assert view is not None
    handler.listed([view], 4)
    assert cache.keys() == set()


async def test_a_spec_that_a_new_definition_shows_for_a_known_version_is_handled_once() -> None:
    """A watch that began with the older definition has shown this version without the new fields."""
    cache = DeploymentCache()
    handler = DeploymentHandler(cache, WorkQueue())
    old, new = a_version("uid", 3), a_version("uid", 3)
    new["spec"] |= {"podLabels": {"team": "vision"}}
    handler.read(msgspec.Raw(msgspec.json.encode(old)))
    item = msgspec.Raw(msgspec.json.encode(new))
    assert not handler.is_known(item)
    handler.read(item)
    assert handler.is_known(item)
    record = cache.get(("shop", "digits"))
    assert record
    assert isinstance(record.deployment, ModelDeployment)
    assert record.deployment.spec.pod_labels == {"team": "vision"}
