"""Leader election: who holds the Lease, and until when it may write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tests.fake_api_server import FakeApiServer
from tests.fake_clock import FakeClock
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.connection import ApiServerConnection
from triton_operator.cluster.errors import ClusterError, ConflictError
from triton_operator.cluster.lease import RENEW_WITHIN, Elector

LEASES = "/apis/coordination.k8s.io/v1/namespaces/operators/leases"
PATH = f"{LEASES}/triton-operator"


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    """Run a fake API server."""
    async with FakeApiServer().running() as running:
        yield running


@pytest.fixture
async def client(server: FakeApiServer) -> AsyncIterator[ApiClient]:
    """Open a session to it."""
    async with ApiClient(ApiServerConnection(server.url)) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    """A clock that advances only when a test sets it."""
    return FakeClock()


def candidate(client: ApiClient, clock: FakeClock, name: str = "one") -> Elector:
    """A candidate for the Lease."""
    return Elector(client, "operators", name, clock=clock, pause=clock.pause)


def holder(server: FakeApiServer) -> str | None:
    """The holder in the Lease."""
    lease = server.stored(PATH)
    assert lease is not None
    name: str | None = lease["spec"].get("holderIdentity")
    return name


async def test_a_free_lease_is_taken_and_held_for_ten_seconds(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """A renewal restarts the time."""
    one = candidate(client, clock)
    assert not one.may_write()
    await one.attempt()
    assert one.may_write()
    assert holder(server) == "one"
    clock.now += 8
    await one.attempt()
    clock.now += RENEW_WITHIN - 0.1
    assert one.may_write()
    assert one.time_left() == pytest.approx(0.1)
    clock.now += 0.2
    assert not one.may_write()
    assert one.time_left() == 0


async def test_the_first_renewal_is_counted_from_before_the_request(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """A slow response must not prolong the permission to write."""
    one = candidate(client, clock)
    server.reachable.clear()
    attempt = asyncio.create_task(one.attempt())
    await server.seen("GET", PATH)
    clock.now += 9
    server.reachable.set()
    await attempt
    assert one.may_write()
    clock.now += 2
    assert not one.may_write()


async def test_another_candidate_waits_until_the_lease_has_not_changed_for_its_duration(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """Fifteen seconds by its own clock since the last observed change; times in the Lease do not count."""
    one, two = candidate(client, clock), candidate(client, clock, "two")
    await one.attempt()
    for _ in range(7):
        await two.attempt()
        assert not two.may_write()
        clock.now += 2
    await one.attempt()
    await two.attempt()
    clock.now += 14.9
    await two.attempt()
    assert holder(server) == "one"
    clock.now += 0.2
    await two.attempt()
    assert holder(server) == "two"
    assert two.may_write()
    lease = server.stored(PATH)
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 2


async def test_a_holder_that_finds_another_one_in_the_lease_stops_writing(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """Another candidate took it while it could not be renewed."""
    one, two = candidate(client, clock), candidate(client, clock, "two")
    await one.attempt()
    await two.attempt()
    clock.now += 15.1
    await two.attempt()
    await one.attempt()
    assert (one.may_write(), two.may_write()) == (False, True)


async def test_two_candidates_cannot_both_take_it(server: FakeApiServer, client: ApiClient, clock: FakeClock) -> None:
    """The API server rejects the one that read an older version."""
    first = candidate(client, clock)
    await first.attempt()
    rivals = [candidate(client, clock, name) for name in ("two", "three")]
    for rival in rivals:
        await rival.attempt()
    clock.now += 16
    results = await asyncio.gather(*(rival.attempt() for rival in rivals), return_exceptions=True)
    assert sorted(str(type(result)) for result in results) == sorted([str(type(None)), str(ConflictError)])
    assert sum(rival.may_write() for rival in rivals) == 1


async def test_a_restarted_container_takes_its_own_lease_immediately(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """After a crash, the pod's name is still the holder, so there is no wait of fifteen seconds."""
    await candidate(client, clock).attempt()
    again = candidate(client, clock)
    await again.attempt()
    assert again.may_write()
    lease = server.stored(PATH)
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1


async def test_a_released_lease_is_taken_immediately(
    server: FakeApiServer, client: ApiClient, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Only its holder releases it."""
    one, two = candidate(client, clock), candidate(client, clock, "two")
    await one.attempt()
    await two.release()
    assert holder(server) == "one"
    with caplog.at_level(logging.INFO):
        await one.release()
    assert [(record.levelname, record.message) for record in caplog.records] == [("INFO", "released the Lease")]
    assert not one.may_write()
    await two.attempt()
    assert two.may_write()


async def test_a_lease_that_another_holds_by_now_is_not_released(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """It was taken between the last renewal and the end."""
    one = candidate(client, clock)
    await one.attempt()
    lease = server.stored(PATH)
    assert lease is not None
    await server.put(PATH, {**lease, "spec": {"holderIdentity": "two", "leaseDurationSeconds": 15}})
    await one.release()
    assert holder(server) == "two"


async def test_failures_are_survived_until_the_lease_may_have_expired(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """Workers wait for `leading`, which is set again when the API server responds."""
    one = candidate(client, clock)
    running = asyncio.create_task(one.run())
    await one.leading.wait()
    server.faults[PATH] = [500] * 3
    await server.seen("GET", PATH, times=4)
    assert one.leading.is_set()
    server.faults[PATH] = [500] * 8
    await _until_clear(one.leading)
    assert not one.may_write()
    await asyncio.wait_for(one.leading.wait(), 60)
    running.cancel()
    assert all(1.6 <= pause <= 2.4 for pause in clock.pauses)


async def test_errors_of_an_attempt_are_cluster_errors(
    server: FakeApiServer, client: ApiClient, clock: FakeClock
) -> None:
    """`run` retries only after these."""
    server.faults[PATH] = [403]
    with pytest.raises(ClusterError):
        await candidate(client, clock).attempt()


async def _until_clear(event: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        while event.is_set():  # noqa: ASYNC110 - events tell of being set only
            await asyncio.sleep(0)
