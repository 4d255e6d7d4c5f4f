"""Shared code of tests and benchmarks with many objects: the objects, and waiting until the operator has finished."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.apiserver.operator_process import OperatorProcess
from tests.builders import WITHOUT_TLS

EVERYTHING: dict[str, Any] = {"replicas": 2, "autoscaling": {"maxReplicas": 4}}
"""Adds the autoscaler and the disruption budget, so that every kind of child is there but those of a cache."""
MOST_CERTIFICATES = 500
"""About as many fit into the Secret of a namespace."""
SCRAPE_SECONDS = 5.0
"""Between two looks at the operator's metrics, whose writing costs it as much as half an object."""
HANG_SECONDS = 600.0
"""For 500 objects; a few seconds are usual."""


def everything(count: int) -> dict[str, Any]:
    """The spec of this number of objects in one namespace, with TLS if their certificates fit into a Secret."""
    return EVERYTHING if count <= MOST_CERTIFICATES else EVERYTHING | {"privacy": WITHOUT_TLS}


async def until_written(operator: OperatorProcess, count: int, *, meanwhile: Callable[[], object] = int) -> None:
    """Wait until this number of statuses have been written; call `meanwhile` now and then.

    Reads the operator's metrics, because lists of all objects would load the API server.
    """
    async with asyncio.timeout(HANG_SECONDS):
        while operator.writes()["ModelDeployment/status"] < count:
            meanwhile()
            await asyncio.sleep(min(SCRAPE_SECONDS, 0.02 * count))


async def until_quiet(operator: OperatorProcess, seconds: float) -> None:
    """Wait until the operator has written nothing for this long."""
    writes, since = operator.writes(), time.monotonic()
    async with asyncio.timeout(HANG_SECONDS):
        while time.monotonic() - since < seconds:
            await asyncio.sleep(min(SCRAPE_SECONDS, seconds / 4))
            if (now := operator.writes()) != writes:
                writes, since = now, time.monotonic()


async def until_passed(operator: OperatorProcess, count: int) -> None:
    """Wait until that many passes of a new process have finished and no deployment waits."""
    operator.wait_ready()
    async with asyncio.timeout(HANG_SECONDS):
        while operator.passes() < count or operator.waiting():  # noqa: ASYNC110 - it tells nobody when it is done
            await asyncio.sleep(0.2)


async def check_that_a_restart_writes_nothing(operator: OperatorProcess, count: int = 1) -> None:
    """Kill the operator as soon as it is quiet; the counters of the new process begin with 0."""
    await until_quiet(operator, 2)
    operator.kill()
    operator.start()
    await until_passed(operator, count)
    assert not operator.writes(), operator.log.read_text()
