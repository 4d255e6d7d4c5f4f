"""Restart a coroutine that should never end, with growing pauses if it ends soon after its start.

`process` runs Kopf with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from triton_operator.cluster.backoff import Backoff

log = logging.getLogger(__name__)

HEALTHY = 300.0
"""Seconds of running after which the next end counts as a first failure."""


async def restart_forever(
    name: str,
    once: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Await `once()` again and again, whatever it raises, until `stop` is set."""
    backoff = Backoff(first=1.0, cap=60.0)
    while not stop.is_set():
        began = clock()
        try:
            await once()
        except Exception as error:  # noqa: BLE001 - whatever failed, it has to be restarted
            log.warning("%s ended, restarting: %s", name, error)
        if clock() - began > HEALTHY:
            backoff.reset()
        await pause(backoff.next())
