"""The reflector stays in sync with the API server through all failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import pytest

from tests.fake_api_server import FakeApiServer
from tests.fake_clock import FakeClock
from triton_operator.cluster import reflector as reflector_module
from triton_operator.cluster.client import ApiClient
from triton_operator.cluster.connection import ApiServerConnection
from triton_operator.cluster.observed import Child, Kind
from triton_operator.cluster.optional_reflector import ABSENT_SECONDS, OptionalReflector
from triton_operator.cluster.projector import Projector
from triton_operator.cluster.reflector import Reflector
from triton_operator.cluster.resource_paths import CHILDREN
from triton_operator.runtime.probes import STALE

ALL = "/api/v1/services"


def path(name: str, namespace: str = "shop") -> str:
    """URL path of a Service."""
    return f"/api/v1/namespaces/{namespace}/services/{name}"


class Recorder:
    """A sink that keeps the current objects and a list of all calls."""

    def __init__(self) -> None:
        self.table: dict[str, int] = {}
        self.diary: list[tuple[str, str]] = []
        self._changed = asyncio.Condition()
        self._notes: set[asyncio.Task[None]] = set()

    def put(self, item: Child) -> None:
        """Record it."""
        self.table[item.name] = item.resource_version
        self._note("put", item.name)

    def drop(self, item: Child) -> None:
        """Remove it."""
        self.table.pop(item.name, None)
        self._note("drop", item.name)

    def replace(self, items: Sequence[Child], as_of: float) -> None:
        """Replace all objects."""
        self.table = {item.name: item.resource_version for item in items}
        self._note("replace", ",".join(sorted(self.table)))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(condition)

    async def noted(self, *entry: str) -> None:
        """Wait for a recorded call."""
        await self.until(lambda: entry in self.diary)

    def _note(self, *entry: str) -> None:
        self.diary.append(entry)  # type: ignore[arg-type] # always two words
        task = asyncio.create_task(self._notify())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    """Run a fake API server."""
    async with FakeApiServer().running() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    """Time advances only in pauses."""
    return FakeClock()


@pytest.fixture
def sink() -> Recorder:
    """The recipient of objects."""
    return Recorder()


@pytest.fixture
async def begin(
    server: FakeApiServer, clock: FakeClock, sink: Recorder
) -> AsyncIterator[Callable[..., Reflector[Child]]]:
    """Start a reflector of Services."""
    tasks = []
    async with ApiClient(ApiServerConnection(server.url)) as client:

        def start(namespace: str | None = None, *, optional: bool = False) -> Reflector[Child]:
            reflector = (OptionalReflector if optional else Reflector)(
                client,
                CHILDREN[Kind.SERVICE],
                namespace,
                selector="a=b",
                project=partial(Projector().project, Kind.SERVICE),
                sink=sink,
                clock=clock,
                pause=clock.pause,
            )
            tasks.append(asyncio.create_task(reflector.run()))
            return reflector

        yield start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_lists_then_watches(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """Existing, new, changed and deleted objects."""
    await server.put(path("one"), {})
    reflector = begin()
    await reflector.synced.wait()
    await server.watched("services")
    await server.put(path("two"), {})
    await server.put(path("one"), {})
    await server.remove(path("two"))
    await sink.noted("drop", "two")
    assert sink.diary == [("replace", "one"), ("put", "two"), ("put", "one"), ("drop", "two")]
    assert server.queries[ALL][0]["labelSelector"] == "a=b"
    watch = server.queries[ALL][1]
    assert (watch["labelSelector"], watch["allowWatchBookmarks"], watch["resourceVersion"]) == ("a=b", "true", "101")
    assert 240 <= int(watch["timeoutSeconds"]) <= 300


async def test_a_long_list_comes_in_pages(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """The sink receives one list."""
    for number in range(501):
        await server.put(path(f"s{number}"), {})
    await begin().synced.wait()
    assert len(sink.table) == 501
    assert len(sink.diary) == 1
    assert server.requests["GET", ALL] >= 2


async def test_only_one_namespace_is_requested(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """The operator may have no permission for others."""
    await server.put(path("mine"), {})
    await server.put(path("theirs", "bank"), {})
    await begin("shop").synced.wait()
    assert set(sink.table) == {"mine"}
    assert ("GET", ALL) not in server.requests


async def test_a_watch_that_ends_is_continued(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """Without a new list; a bookmark advances the version."""
    begin()
    await server.watched("services")
    await server.put(path("one"), {})
    await server.send("services", {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5000"}}})
    await server.put(path("two"), {"metadata": {}})
    await sink.noted("put", "two")
    await server.send("services", {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5001"}}})
    await server.end_watches()
    await server.watched("services")
    assert server.queries[ALL][-1]["resourceVersion"] == "5001"
    assert [entry for entry in sink.diary if entry[0] == "replace"] == [("replace", "")]


@pytest.mark.parametrize("code", [410, 500, 504])
async def test_an_error_in_the_stream_leads_to_a_new_list(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]], code: int
) -> None:
    """Objects that were deleted meanwhile are missing in it."""
    await server.put(path("one"), {})
    await server.put(path("two"), {})
    begin()
    await server.watched("services")
    server.lose(path("one"))
    await server.send("services", {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "gone"}})
    await sink.noted("replace", "two")
    assert set(sink.table) == {"two"}


async def test_an_expired_version_leads_to_a_new_list(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """The server responds with 410, because the known version is too old."""
    begin()
    await server.watched("services")
    server.faults[ALL] = [410]
    await server.end_watches()
    await server.watched("services")
    assert len([entry for entry in sink.diary if entry[0] == "replace"]) == 2


@pytest.mark.parametrize("faults", [[500, 503, 500], [403], [401, 429], [410, 410]])
async def test_lists_are_retried_forever(
    server: FakeApiServer, clock: FakeClock, begin: Callable[..., Reflector[Child]], faults: list[int]
) -> None:
    """With growing pauses."""
    server.faults[ALL] = list(faults)
    reflector = begin()
    await asyncio.wait_for(reflector.synced.wait(), 60)
    assert len(clock.pauses) == len(faults)
    for number, pause in enumerate(clock.pauses):
        assert 0.25 * 2**number <= pause <= 0.5 * 2**number


async def test_the_version_is_kept_through_failures_of_the_watch(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """500 and the like say nothing about the place."""
    begin()
    await server.watched("services")
    server.faults[ALL] = [500, 502]
    await server.end_watches()
    await server.watched("services")
    await server.put(path("one"), {})
    await sink.noted("put", "one")
    assert sink.diary == [("replace", ""), ("put", "one")]


async def test_watches_that_end_immediately_are_retried_with_pauses(
    server: FakeApiServer, clock: FakeClock, begin: Callable[..., Reflector[Child]]
) -> None:
    """A proxy that cuts streams counts as a failure."""
    begin()
    for _ in range(4):
        await server.watched("services")
        await server.end_watches()
    await server.watched("services")
    assert [round(pause * 2**-number, 2) <= 0.5 for number, pause in enumerate(clock.pauses)] == [True] * 4


async def test_an_object_that_cannot_be_read_is_skipped(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]], caplog: pytest.LogCaptureFixture
) -> None:
    """The others are not made to suffer for it."""
    await server.put(path("bad"), {"metadata": {"labels": 5}})
    begin()
    await server.watched("services")
    await server.put(path("worse"), {"metadata": {"labels": 6}})
    await server.put(path("good"), {})
    await sink.noted("put", "good")
    assert set(sink.table) == {"good"}
    assert caplog.text.count("which cannot be decoded (ValidationError)") == 2


async def test_a_list_that_fails_each_time_does_not_count_as_activity(
    sink: Recorder, clock: FakeClock, begin: Callable[..., Reflector[Child]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is retried, and the probe reports that there is no activity."""
    tried, began = asyncio.Event(), clock.now

    def refuse(*_: object) -> None:
        if clock.now > began + 2 * STALE:
            tried.set()
        raise ZeroDivisionError

    monkeypatch.setattr(sink, "replace", refuse)
    reflector = begin()
    async with asyncio.timeout(60):
        await tried.wait()
    assert clock.now - reflector.last_turn > STALE


async def test_a_defect_of_the_sink_leads_to_a_new_list(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]], caplog: pytest.LogCaptureFixture
) -> None:
    """The reflector lives on."""
    begin()
    await server.watched("services")
    sink.put = _fail  # type: ignore[method-assign,assignment]
    await server.put(path("one"), {})
    await sink.noted("replace", "one")
    assert "listing again" in caplog.text


async def test_an_event_that_comes_in_pieces_is_put_together(sink: Recorder, server: FakeApiServer) -> None:
    """Chunks end anywhere, and several events may share one."""
    async with ApiClient(ApiServerConnection(server.url)) as client:
        reflector = Reflector(
            client,
            CHILDREN[Kind.SERVICE],
            None,
            selector="",
            project=partial(Projector().project, Kind.SERVICE),
            sink=sink,
        )
        lines = b"".join(
            b'{"type":"ADDED","object":{"metadata":{"name":"s%d","resourceVersion":"%d"}}}\n' % (number, number)
            for number in range(20)
        )
        for size in (1, 7, 64, len(lines)):
            sink.table.clear()
            await reflector._consume(_pieces(lines, size))
            assert sink.table == {f"s{number}": number for number in range(20)}


async def test_retries_count_as_activity(
    server: FakeApiServer, clock: FakeClock, begin: Callable[..., Reflector[Child]]
) -> None:
    """But not as an event."""
    reflector = begin()
    await server.watched("services")
    listed = reflector.last_event
    clock.now += 100
    server.faults[ALL] = [500] * 3
    await server.end_watches()
    await server.watched("services")
    assert reflector.last_event == listed
    assert reflector.last_turn >= listed + 100


async def _pieces(lines: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _fail(_: Any) -> None:
    raise ZeroDivisionError


async def test_a_restored_backup_is_detected_by_a_silent_watch(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch from a version that no longer exists receives nothing, not even bookmarks."""
    monkeypatch.setattr(reflector_module, "SILENCE", 0.3)
    for name in ("one", "two"):
        await server.put(path(name), {})
    begin()
    await sink.noted("replace", "one,two")
    server.restore(50, path("one"))
    await sink.noted("replace", "one")
    assert sink.table == {"one": 50}
    assert sink.diary.index(("replace", "")) < sink.diary.index(("replace", "one"))


@pytest.mark.parametrize("status", [403, 404])
async def test_an_optional_kind_may_be_absent(
    server: FakeApiServer, clock: FakeClock, sink: Recorder, begin: Callable[..., Reflector[Child]], status: int
) -> None:
    """Nobody waits for it, and it is found when it exists, without hurry."""
    await server.put(path("one"), {})
    server.faults[ALL] = [status, status]
    reflector = begin(optional=True)
    await reflector.synced.wait()
    assert sink.table == {}
    await sink.noted("replace", "one")
    assert sink.diary == [("replace", ""), ("replace", ""), ("replace", "one")]
    assert len(clock.pauses) == 2
    assert all(ABSENT_SECONDS / 2 <= pause <= ABSENT_SECONDS for pause in clock.pauses)


async def test_an_optional_kind_that_disappears_has_no_objects(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    await server.put(path("one"), {})
    begin(optional=True)
    await server.watched("services")
    server.lose(path("one"))
    server.faults[ALL] = [404]
    await server.end_watches()
    await sink.until(lambda: sink.table == {})


async def test_nobody_waits_for_an_optional_kind_that_cannot_be_read(
    server: FakeApiServer, sink: Recorder, begin: Callable[..., Reflector[Child]]
) -> None:
    """Its conversion webhook may fail, for example; what is cached then stays."""
    await server.put(path("one"), {})
    server.faults[ALL] = [500]
    await begin(optional=True).synced.wait()
    await sink.noted("replace", "one")
    assert sink.diary == [("replace", "one")]
