"""The cluster's public keys are read again and again, and a failure changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from tests.builders import a_body
from tests.fake_api_server import FakeApiServer
from tests.unit.resources.test_public_keys import ec_jwk, jwks
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.connection import ApiServerConnection
from triton_operator.cluster.issuer import DISCOVERY_PATH, KEYS_PATH
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Key
from triton_operator.runtime.issuer_refresh import INTERVAL, IssuerRefresh
from triton_operator.runtime.work_queue import WorkQueue

DISCOVERY = json.dumps({"issuer": "https://kubernetes.default.svc", "jwks_uri": "https://elsewhere/keys"}).encode()
CALLER = {"name": "shop", "serviceAccount": {"name": "checkout"}}


class Turns:
    """Stands in for the pause: each pause runs the next step of a test, after the last one the reading ends."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)
        self.pauses: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self._steps:
            raise asyncio.CancelledError
        self._steps.pop(0)()


async def test_keys_are_read_followed_and_kept_during_an_outage() -> None:
    cache, queue = ObjectCache(), WorkQueue[Key]()
    tls = {"mode": "Managed"}
    cache.deployments.put(a_body("digits", privacy={"tls": tls, "clients": [CALLER]}))
    cache.deployments.put(a_body("plain", privacy={"tls": tls}))
    seen: list[tuple[list[str], int]] = []
    async with FakeApiServer().running() as server, ApiClient(ApiServerConnection(server.url)) as client:

        def publish(*keys: dict[str, Any]) -> None:
            server.pages[DISCOVERY_PATH].append(DISCOVERY)
            server.pages[KEYS_PATH].append(jwks(*keys).encode())

        def note() -> None:
            assert cache.issuer.issuer
            seen.append(([key.kid for key in cache.issuer.issuer.keys], len(queue)))

        def fail() -> None:
            note()
            server.faults[DISCOVERY_PATH].append(503)

        def damage() -> None:
            note()
            server.pages[DISCOVERY_PATH].append(DISCOVERY)
            server.pages[KEYS_PATH].append(b"not a key set")

        def rotate() -> None:
            note()
            publish(second, first)

        first, second = ec_jwk(kid="first"), ec_jwk(kid="second")
        publish(first)
        turns = Turns(fail, damage, rotate, note)
        refresh = IssuerRefresh(client, cache, queue, pause=turns.pause)
        cache.issuer.needed.set()
        with contextlib.suppress(asyncio.CancelledError):
            await refresh.run()
    assert seen == [(["first"], 1), (["first"], 1), (["first"], 1), (["second", "first"], 1)]
    assert await queue.get() == ("shop", "digits")
    assert [pause > INTERVAL / 2 for pause in turns.pauses[:4]] == [True, False, False, True]


async def test_nothing_is_read_before_a_deployment_needs_it() -> None:
    async with FakeApiServer().running() as server, ApiClient(ApiServerConnection(server.url)) as client:
        task = asyncio.create_task(IssuerRefresh(client, ObjectCache(), WorkQueue[Key]()).run())
        await asyncio.sleep(0)
        assert not server.requests
        task.cancel()
