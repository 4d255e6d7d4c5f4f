"""The cache and the queue if lists and events arrive in another order than they happened."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.builders import a_body
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
