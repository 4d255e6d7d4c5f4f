"""Calls of the clients over both protocols: batches, streams, retries and time limits, with and without asyncio."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fake_cluster import FakeCluster
from tests.inference_server import BUSY, Backend, Model, grpc_server, http_server
from triton_operator.proxy.refusals import NOT_VERIFIED
from triton_operator.sdk import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    DeploymentNotFoundError,
    InferenceError,
    InvalidRequestError,
    Protocol,
    RejectedError,
    TensorInterface,
    UnreachableError,
)
from triton_operator.sdk.address import ServerAddress
from triton_operator.sdk.grpc_transport import error_from_status
from triton_operator.sdk.http_transport import error_from_response
from triton_operator.sdk.retry import ATTEMPTS, AttemptError, RequestOutcome, backoff_delays

ROWS = Model({"x": ("FP32", [-1, 2])}, max_batch_size=4, most_rows=4)
SILENT = Model({"x": ("FP32", [-1, 2])}, most_rows=4)
"""As behind a ModelDeployment: the configuration, and so the size of a batch, is not told."""


def serve(protocol: Protocol, backend: Backend) -> AbstractContextManager[str]:
    """A server for this protocol."""
    return grpc_server(backend) if protocol is Protocol.GRPC else http_server(backend)


@pytest.fixture
def backend() -> Backend:
    """The models and the behaviour of the server."""
    count = Model({"x": ("INT32", [-1])}, max_batch_size=0)
    return Backend({"rows": ROWS, "silent": SILENT, "count": count, "secret": Model(), "broken": Model()})


@pytest.fixture(params=list(Protocol))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Each protocol in turn."""
    return Protocol(request.param)


@pytest.fixture
def address(protocol: Protocol, backend: Backend) -> Iterator[str]:
    """The server's address."""
    with serve(protocol, backend) as address:
        yield address


@pytest.fixture
def client(protocol: Protocol, address: str) -> Iterator[Client]:
    """An open client."""
    with Client("x", protocol=protocol, url=address, timeout=60) as opened:
        yield opened


@pytest.fixture
def streaming(backend: Backend) -> Iterator[Client]:
    """An open client over gRPC."""
    with grpc_server(backend) as address, Client("x", protocol=Protocol.GRPC, url=address, timeout=60) as opened:
        yield opened


def rows(number: int) -> np.ndarray[Any, Any]:
    """This many different rows."""
    return np.arange(number * 2, dtype=np.float32).reshape(number, 2)


@pytest.mark.parametrize("model", ["rows", "silent"])
def test_many_rows_go_in_batches_and_come_back_in_order(client: Client, backend: Backend, model: str) -> None:
    """The server reports its maximum, or only rejects larger batches: then one additional request is sent."""
    for _ in range(2):
        assert np.array_equal(client.infer(model, rows(11)).output, rows(11))
    assert backend.inferences == (6 if model == "rows" else 7)


def test_only_a_few_batches_are_sent_concurrently(protocol: Protocol, address: str, backend: Backend) -> None:
    """The client has the limit."""
    backend.hold = threading.Event()
    with Client("x", protocol=protocol, url=address, concurrency=3) as client, ThreadPoolExecutor(1) as beside:
        pending = beside.submit(client.infer, "rows", rows(40))
        for _ in range(3):
            assert backend.begun.acquire(timeout=60)
        backend.hold.set()
        assert np.array_equal(pending.result().output, rows(40))
    assert backend.at_a_time == 3


def test_nothing_is_sent_that_does_not_fit(client: Client, backend: Backend) -> None:
    """The metadata is read again before an error, as the model may have changed; no inference request is sent."""
    client.infer("rows", rows(1))
    for wrong in (rows(1).astype(np.float64), rows(1)[:, :1], {"y": rows(1)}, {}):
        with pytest.raises(InvalidRequestError, match=r"inputs\['[xy]'\]"):
            client.infer("rows", wrong)
    assert backend.inferences == 1


def test_the_interface_is_read_once_and_again_when_it_may_have_changed(client: Client, backend: Backend) -> None:
    """A model may be replaced during the life of a client."""
    for _ in range(3):
        client.infer("rows", rows(2))
    assert backend.received.count("metadata rows") == backend.received.count("config rows") == 1
    backend.models["rows"] = Model({"x": ("INT64", [-1])}, max_batch_size=4)
    assert client.infer("rows", np.array([1, 2])).output.tolist() == [1, 2]
    assert client.interface("rows").inputs == (TensorInterface("x", "INT64", (-1,), optional=False),)


def test_a_server_may_hide_its_metadata(client: Client) -> None:
    """Then arrays are sent unchanged; the type of other values would be a guess."""
    assert client.infer("secret", {"x": rows(3)}).output.shape == (3, 2)
    with pytest.raises(InvalidRequestError, match="does not report"):
        client.infer("secret", {"x": [1, 2]})
    with pytest.raises(RejectedError, match="secret"):
        client.interface("secret")


def test_an_unknown_model_is_not_found(client: Client) -> None:
    """With the server's message."""
    with pytest.raises(DeploymentNotFoundError, match="unknown model: 'rosw'"):
        client.infer("rosw", rows(1))


def test_a_postponed_request_is_sent_again(client: Client, backend: Backend) -> None:
    """The server has not run the model; after some attempts, the error is raised."""
    backend.busy = 2
    assert client.infer("rows", rows(1)).output.shape == (1, 2)
    assert backend.inferences == 3
    backend.busy = 1000
    with pytest.raises(UnreachableError, match=BUSY):
        client.infer("rows", rows(1))
    assert backend.inferences == 3 + ATTEMPTS


def test_retries_end_with_the_timeout(client: Client, backend: Backend) -> None:
    """No pause begins that would exceed it."""
    client.interface("rows")
    backend.busy = 1000
    with pytest.raises(
        (UnreachableError, DeadlineExceededError)
    ):  # The second where this machine is too busy for an attempt.
        client.infer("rows", rows(1), timeout=0.3)
    assert backend.inferences < ATTEMPTS


def test_an_inference_with_an_unknown_outcome_is_retried_only_if_allowed(backend: Backend) -> None:
    """The model may have run: a stateful one would count twice."""
    with http_server(backend) as address, Client("x", url=address) as client:
        client.interface("rows")
        backend.cut = 1
        with pytest.raises(UnreachableError):
            client.infer("rows", rows(1))
        assert backend.inferences == 1
        backend.cut = 1
        assert client.infer("rows", rows(1), retry=True).output.shape == (1, 2)
        assert backend.inferences == 3


def test_no_response_in_time_is_a_timeout(client: Client, backend: Backend) -> None:
    """The client can still be used."""
    backend.hold = threading.Event()
    with pytest.raises(DeadlineExceededError, match=r"inference by rows: no response within 0\.5 s"):
        client.infer("rows", rows(1), timeout=0.5)
    backend.hold.set()
    assert client.infer("rows", rows(1)).output.shape == (1, 2)


def test_threads_may_share_a_client(client: Client) -> None:
    """Each receives its own response."""
    with ThreadPoolExecutor(8) as threads:
        pending = {index: threads.submit(client.infer, "rows", rows(index + 1)) for index in range(40)}
        assert all(len(answer.result().output) == index + 1 for index, answer in pending.items())


def test_closing_a_client_ends_the_calls_of_other_threads(backend: Backend) -> None:
    """They raise an error with a message, because `close` does not wait for them."""
    backend.hold = threading.Event()
    with http_server(backend) as address, ThreadPoolExecutor(1) as threads:
        with Client("x", url=address) as client:
            pending = threads.submit(client.infer, "rows", rows(1))
            assert backend.begun.acquire(timeout=60)
        with pytest.raises(UnreachableError):
            pending.result(10)
        backend.hold.set()


def test_an_interrupted_port_forward_is_restarted(
    protocol: Protocol, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends with its pod; the next one leads to another pod."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster, serve(protocol, backend) as address:
        cluster.answer({"metadata": {"name": "x"}})
        with serve(protocol, backend) as gone:
            cluster.forward(gone)
        with Client("x", protocol=protocol) as client:
            cluster.forward(address)
            assert client.infer("rows", rows(1)).output.shape == (1, 2)
        assert len(cluster.calls) == 2


def test_a_stream_yields_responses_as_they_arrive(streaming: Client) -> None:
    """Any number for each request."""
    answers = [int(answer.output[0]) for answer in streaming.stream("count", [[2], [0], [3]])]
    assert answers == [2, 2, 3, 3, 3]


def test_requests_of_a_stream_may_depend_on_its_responses(streaming: Client) -> None:
    """Requests are read one after the other, in a thread that may block."""
    answered = threading.Semaphore(0)

    def requests() -> Iterator[list[int]]:
        yield [1]
        answered.acquire()
        yield [2]

    results = []
    for answer in streaming.stream("count", requests()):
        results.append(int(answer.output[0]))
        answered.release()
    assert results == [1, 2, 2]


def test_leaving_a_stream_early_ends_it_at_the_server(streaming: Client, backend: Backend) -> None:
    """Otherwise, the server would continue forever."""
    for number, _ in enumerate(streaming.stream("count", [[-1]])):
        if number == 3:
            break
    assert backend.cancelled.wait(10)
    assert len(list(streaming.stream("count", [[2]]))) == 2


def test_a_stream_is_checked_like_any_request(streaming: Client) -> None:
    """Its errors are those of the SDK."""
    with pytest.raises(InvalidRequestError, match=r"inputs\['x'\]"):
        list(streaming.stream("count", [["a"]]))
    with pytest.raises(InferenceError, match="expected 2 dimensions"):
        list(streaming.stream("broken", [{"x": np.zeros(1, np.int32)}]))


def test_streams_need_grpc(backend: Backend) -> None:
    """Triton does not support them over HTTP."""
    with (
        http_server(backend) as address,
        Client("x", url=address) as client,
        pytest.raises(InvalidRequestError, match=r"Protocol\.GRPC"),
    ):
        list(client.stream("count", [[1]]))


@pytest.fixture
async def asynchronous(protocol: Protocol, address: str) -> AsyncIterator[AsyncClient]:
    """An open client in the test's event loop."""
    async with AsyncClient("x", protocol=protocol, url=address, timeout=60) as opened:
        yield opened


async def test_tasks_may_share_a_client(asynchronous: AsyncClient) -> None:
    """Each receives its own response."""
    answers = await asyncio.gather(*(asynchronous.infer("rows", rows(index + 1)) for index in range(20)))
    assert [len(answer.output) for answer in answers] == list(range(1, 21))
    assert await asynchronous.is_ready("rows")
    assert not await asynchronous.is_ready("broken")


async def test_one_failure_ends_the_other_batches(asynchronous: AsyncClient, backend: Backend) -> None:
    """None continues in the background."""
    backend.models["rows"] = Model({"x": ("FP32", [-1, 2])}, max_batch_size=4, most_rows=3)
    with pytest.raises(InferenceError, match="batch-size must be <= 3"):
        await asynchronous.infer("rows", rows(40))
    assert backend.inferences <= 8


async def test_cancelling_a_call_cancels_it(asynchronous: AsyncClient, backend: Backend) -> None:
    """As usual in asyncio."""
    backend.hold = threading.Event()
    call = asyncio.create_task(asynchronous.infer("rows", rows(1)))
    assert await asyncio.to_thread(backend.begun.acquire, timeout=60)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    backend.hold.set()


async def test_a_stream_in_an_event_loop(backend: Backend) -> None:
    """Requests from an asynchronous iterator; leaving it early ends it at the server."""

    async def requests() -> AsyncIterator[list[int]]:
        yield [1]
        yield [-1]

    with grpc_server(backend) as address:
        async with AsyncClient("x", protocol=Protocol.GRPC, url=address, timeout=60) as client:
            async with aclosing(client.stream("count", requests())) as answers:
                assert [int((await anext(answers)).output[0]) for _ in range(3)] == [1, -1, -1]
            assert await asyncio.to_thread(backend.cancelled.wait, 10)
    gc.collect()  # What was left open would be told now.


@pytest.fixture
async def over_grpc(backend: Backend) -> AsyncIterator[AsyncClient]:
    """An open client whose server records cancellations."""
    with grpc_server(backend) as address:
        async with AsyncClient("x", protocol=Protocol.GRPC, url=address, timeout=60) as opened:
            yield opened
            if backend.hold:
                backend.hold.set()


async def test_an_abandoned_call_over_grpc_is_not_cancelled(over_grpc: AsyncClient, backend: Backend) -> None:
    """Triton 24.10 crashes when calls are cancelled: by a deadline, with a task, or by a concurrent failure."""
    await over_grpc.interface("rows")
    backend.hold = threading.Event()
    with pytest.raises(DeadlineExceededError):
        await over_grpc.infer("rows", rows(1), timeout=0.3)
    waiting = asyncio.create_task(over_grpc.infer("rows", rows(1)))
    for _ in range(2):
        assert await asyncio.to_thread(backend.begun.acquire, timeout=60)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    backend.hold.set()
    assert (await over_grpc.infer("rows", rows(1))).output.shape == (1, 2)
    assert not backend.call_cancelled.is_set()


async def test_closing_a_client_lets_calls_over_grpc_end_first(backend: Backend) -> None:
    """Closing the channel would cancel them."""
    backend.hold = threading.Event()
    with grpc_server(backend) as address:
        client = AsyncClient("x", protocol=Protocol.GRPC, url=address, timeout=60)
        async with client:
            waiting = asyncio.create_task(client.infer("rows", rows(1)))
            assert await asyncio.to_thread(backend.begun.acquire, timeout=60)
            waiting.cancel()
            asyncio.get_running_loop().call_later(0.2, backend.hold.set)
    assert not backend.call_cancelled.is_set()


async def test_a_stream_that_is_left_early_is_read_to_its_end(over_grpc: AsyncClient, backend: Backend) -> None:
    """Leaving it, a cancelled reader and a failing request do not cancel it at the server."""

    async def requests() -> AsyncIterator[list[int]]:
        yield [300]
        await asyncio.Event().wait()

    backend.hold = threading.Event()
    async with aclosing(over_grpc.stream("count", requests())) as answers:
        await anext(answers)
    await asyncio.sleep(0.1)  # A cancellation would reach the server.
    backend.hold.set()
    assert await asyncio.to_thread(backend.cancelled.wait, 60)
    backend.cancelled.clear()
    async with aclosing(over_grpc.stream("count", requests())) as answers:
        for _ in range(300):
            await anext(answers)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(answers), 0.1)
    assert await asyncio.to_thread(backend.cancelled.wait, 60)
    backend.cancelled.clear()
    with pytest.raises(InvalidRequestError):
        async for _ in over_grpc.stream("count", [[2], ["a"]]):
            pass
    assert await asyncio.to_thread(backend.cancelled.wait, 60)
    assert not backend.call_cancelled.is_set()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30))
def test_any_number_of_rows_survives(client: Client, number: int) -> None:
    """Over a persistent connection."""
    assert np.array_equal(client.infer("rows", rows(number)).output, rows(number))


def test_pauses_grow_and_differ() -> None:
    """So that clients that were rejected together do not retry together."""
    assert list(backoff_delays(lambda: 1.0)) == [0.1, 0.2, 0.4, 0.8]
    assert list(backoff_delays(lambda: 0.0)) == [0.05, 0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    ("failure", "outcome", "error"),
    [
        (error_from_response("503", BUSY, ServerAddress("h:1")), RequestOutcome.RETRYABLE, UnreachableError),
        (error_from_response("403", "closed", ServerAddress("h:1")), RequestOutcome.ANSWERED, RejectedError),
        (error_from_response("404", "unknown model", ServerAddress("h:1")),
         RequestOutcome.ANSWERED, DeploymentNotFoundError),
        (error_from_response("400", "wrong", ServerAddress("h:1")), RequestOutcome.ANSWERED, InferenceError),
        (error_from_status("StatusCode.UNAVAILABLE", BUSY, ServerAddress("h:1")),
         RequestOutcome.RETRYABLE, UnreachableError),
        (error_from_status("StatusCode.UNAVAILABLE", NOT_VERIFIED.message, ServerAddress("h:1")),
         RequestOutcome.RETRYABLE, UnreachableError),
        (error_from_status("StatusCode.UNAVAILABLE", "failed to connect to all addresses", ServerAddress("h:1")),
         RequestOutcome.NOT_SENT, UnreachableError),
        (error_from_status("StatusCode.UNAVAILABLE", "Socket closed", ServerAddress("h:1")),
         RequestOutcome.UNKNOWN, UnreachableError),
        (error_from_status("StatusCode.UNAVAILABLE", "This protocol is restricted, expecting header 'k'",
                           ServerAddress("")),
         RequestOutcome.ANSWERED, RejectedError),
        (error_from_status("StatusCode.DEADLINE_EXCEEDED", "late", ServerAddress("h:1")),
         RequestOutcome.UNKNOWN, DeadlineExceededError),
        (error_from_status("StatusCode.UNAUTHENTICATED", "who", ServerAddress("h:1")),
         RequestOutcome.UNAUTHENTICATED, RejectedError),
        (error_from_status("StatusCode.INTERNAL", "oops", ServerAddress("h:1")),
         RequestOutcome.ANSWERED, InferenceError),
    ],
)  # fmt: skip
def test_each_failure_has_its_outcome(failure: AttemptError, outcome: RequestOutcome, error: type[Exception]) -> None:
    """Only requests that were not sent or were postponed are safe to retry."""
    assert (failure.outcome, type(failure.error)) == (outcome, error)
    assert failure.is_retryable(idempotent=False) == (outcome in {RequestOutcome.NOT_SENT, RequestOutcome.RETRYABLE})
    final = {RequestOutcome.ANSWERED, RequestOutcome.UNAUTHENTICATED}
    assert failure.is_retryable(idempotent=True) == (outcome not in final)


@pytest.mark.parametrize(
    "message", ["Socket closed", "recvmsg:Connection reset by peer", "sendmsg: Broken pipe (32)", "no route to host"]
)
def test_a_connection_that_the_server_ends_may_require_tls(message: str) -> None:
    """Not one that was never there."""
    failure = error_from_status("StatusCode.UNAVAILABLE", message, ServerAddress("h:1"))
    assert ("if the port requires TLS" in str(failure.error)) == (message != "no route to host")
