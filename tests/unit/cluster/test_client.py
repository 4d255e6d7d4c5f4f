"""Requests and typed errors; credentials, and their rejection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.fake_api_server import FakeApiServer
from tests.fake_clock import FakeClock
from triton_operator.api.status import Status
from triton_operator.cluster import exchange
from triton_operator.cluster.client import LONGEST_WAIT, ApiClient, as_error
from triton_operator.cluster.connect import connect
from triton_operator.cluster.connection import ApiServerConnection, NoConnectionError, TokenFile
from triton_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    DeniedError,
    InvalidObjectError,
    NotFoundError,
    TerminatingError,
    UnavailableError,
)
from triton_operator.cluster.http import HttpCluster
from triton_operator.cluster.kubeconfig import from_kubeconfig
from triton_operator.cluster.listing import list_all
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, EVENTS, LEASES, MODEL_DEPLOYMENTS

SERVICES = "/api/v1/services"


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    """Run a fake API server."""
    async with FakeApiServer().running() as running:
        yield running


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, InvalidObjectError),
        (422, InvalidObjectError),
        (413, InvalidObjectError),
        (403, DeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (401, UnavailableError),
        (408, UnavailableError),
        (410, UnavailableError),
        (429, UnavailableError),
        (500, UnavailableError),
        (504, UnavailableError),
    ],
)
def test_each_refusal_is_an_error_of_its_own_type(code: int, error: type[ClusterError]) -> None:
    """With the server's message."""
    raised = as_error(code, b'{"kind":"Status","code":1,"message":"because"}')
    assert type(raised) is error
    assert (raised.status, raised.message) == (code, "because")


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        (b"{}", "7", 7),
        (b'{"details":{"retryAfterSeconds":3}}', "", 3),
        (b"{}", "Wed, 21 Oct 2026 07:28:00 GMT", 0),
        (b"too many", "", 0),
        (b"{}", "86400", LONGEST_WAIT),
        (b'{"details":{"retryAfterSeconds":86400}}', "", LONGEST_WAIT),
        (b'{"details":{"retryAfterSeconds":-5}}', "", 0),
        (b"{}", "\u00b2", 0),
    ],
)
def test_the_server_sets_the_delay_of_a_retry(body: bytes, header: str, seconds: int) -> None:
    """In the header or in the body."""
    error = as_error(429, body, header)
    assert isinstance(error, UnavailableError)
    assert error.retry_after == seconds


def test_the_page_of_a_proxy_is_an_outage() -> None:
    """Its beginning is the message."""
    assert as_error(502, b"<html>bad gateway").message == "<html>bad gateway"
    assert as_error(503, b"").message == "HTTP 503"
    assert as_error(500, b'{"x":' + b"[" * 100_000).message.startswith('{"x":[[[')


@pytest.mark.parametrize("page", [b"<html>please log in</html>", b"", b"[]", b"\xff", b"null"])
async def test_a_success_that_is_no_json_object_is_an_outage(server: FakeApiServer, page: bytes) -> None:
    """A captive portal responds to everything with 200; its page is quoted, and the request is retried."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "digits"}}
    one, status = "/api/v1/namespaces/shop/services/digits", f"{MODEL_DEPLOYMENTS.path('shop', 'digits')}/status"
    for path in (one, SERVICES, status):
        server.pages[path] = [page] * 3
    async with ApiClient(ApiServerConnection(server.url)) as client:
        cluster = HttpCluster(client, instance="x")
        for ask in (
            lambda: cluster.get(Kind.SERVICE, "shop", "digits"),
            lambda: cluster.apply(service, uid="u"),
            lambda: cluster.replace(service, uid="u"),
            lambda: cluster.write_status("shop", "digits", "u", Status(observed_generation=1)),
            lambda: list_all(client, CHILDREN[Kind.SERVICE], None),
        ):
            with pytest.raises(UnavailableError, match="unexpected response of the API server"):
                await ask()


async def test_a_spec_that_is_too_deep_to_be_read_still_gets_its_status(server: FakeApiServer) -> None:
    """The response to the write contains the spec too, and is decoded like a watch event."""
    deep = b'{"metadata":{"name":"digits","namespace":"shop","uid":"u","resourceVersion":"7"},"spec":%s}'
    server.pages[f"{MODEL_DEPLOYMENTS.path('shop', 'digits')}/status"] = [deep % (b"[" * 985 + b"]" * 985)]
    async with ApiClient(ApiServerConnection(server.url)) as client:
        cluster = HttpCluster(client, instance="x")
        answer = await cluster.write_status("shop", "digits", "u", Status(observed_generation=1))
    assert answer["metadata"]["resourceVersion"] == "7"
    assert "nested deeper" in answer["unreadable"]


def test_a_uid_that_does_not_match_is_a_conflict() -> None:
    """The API server reports the uid as immutable and responds with 422."""
    body = b'{"code":422,"message":"immutable","details":{"causes":[{"field":"metadata.uid"}]}}'
    assert isinstance(as_error(422, body), ConflictError)


def test_a_namespace_that_is_being_deleted_is_distinguished_from_other_errors() -> None:
    """Nothing can be created in it, and nothing need be: the ModelDeployment is deleted with it."""
    cause = b'{"reason":"NamespaceTerminating","message":"namespace shop is being terminated"}'
    assert isinstance(as_error(403, b'{"details":{"causes":[%s]}}' % cause), TerminatingError)
    assert not isinstance(as_error(403, b'{"details":{"causes":[{"reason":"Other"}]}}'), TerminatingError)


async def test_a_write_takes_no_longer_than_the_lease_is_ours(server: FakeApiServer) -> None:
    """It could take effect while a successor leads; without time left, it is not sent."""
    server.reachable.clear()
    left = [0.05, 0.0]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "digits"}}
    async with ApiClient(ApiServerConnection(server.url)) as client, asyncio.timeout(60):
        cluster = HttpCluster(client, instance="x", time_left=lambda: left.pop(0))
        for words in ("PATCH Service", "may have been lost"):
            with pytest.raises(UnavailableError, match=words):
                await cluster.create(service)
    assert left == []
    assert sum(number for (method, _), number in server.requests.items() if method == "PATCH") == 1


async def test_requests_are_reported_with_their_response(server: FakeApiServer) -> None:
    """Code 0 means no response."""
    seen: list[tuple[str, str, int]] = []
    async with ApiClient(ApiServerConnection(server.url), observe=lambda *report: seen.append(report)) as client:
        await client.request("GET", SERVICES, kind="Service")
        server.faults[SERVICES] = [500]
        with pytest.raises(UnavailableError):
            await client.request("GET", SERVICES, kind="Service")
    async with ApiClient(
        ApiServerConnection("http://127.0.0.1:1"), observe=lambda *report: seen.append(report)
    ) as client:
        with pytest.raises(UnavailableError, match="GET Service"):
            await client.request("GET", SERVICES, kind="Service")
    assert seen == [("GET", "Service", 200), ("GET", "Service", 500), ("GET", "Service", 0)]


async def test_a_response_that_does_not_come_in_time_is_an_outage(server: FakeApiServer) -> None:
    """Also when a watch falls silent."""
    async with ApiClient(ApiServerConnection(server.url)) as client:
        server.reachable.clear()
        with pytest.raises(UnavailableError):
            await client.request("GET", SERVICES, kind="Service", within=0.05)
        server.reachable.set()
        with pytest.raises(UnavailableError):
            await _read_silent_watch(client)


async def test_a_stream_that_is_rejected_raises_its_error(server: FakeApiServer) -> None:
    """After 410, the reflector lists again."""
    server.faults[SERVICES] = [410]
    async with ApiClient(ApiServerConnection(server.url)) as client:
        with pytest.raises(UnavailableError) as raised:
            async with client.stream(SERVICES, kind="Service", query={"watch": "1"}, silence=1):
                pass
    assert raised.value.status == 410


async def test_lists_consist_of_all_pages(server: FakeApiServer) -> None:
    """The version is that of the last page; each request has the selector."""
    for number in range(1201):
        await server.put(f"/api/v1/namespaces/shop/services/s{number}", {})
    async with ApiClient(ApiServerConnection(server.url)) as client:
        listing = await list_all(client, CHILDREN[Kind.SERVICE], None, {"labelSelector": "a=b"})
    assert (len(listing.items), listing.version) == (1201, "1301")
    assert [query.get("labelSelector") for query in server.queries[SERVICES]] == ["a=b"] * 3


async def test_a_list_of_large_objects_comes_in_smaller_pages(
    server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that exceeds the memory limit is rejected."""
    monkeypatch.setattr(exchange, "MOST_BYTES", 100_000)
    for number in range(100):
        await server.put(f"/api/v1/namespaces/shop/services/s{number}", {"spec": {"x": "x" * 10_000}})
    async with ApiClient(ApiServerConnection(server.url)) as client:
        listing = await list_all(client, CHILDREN[Kind.SERVICE], None)
    assert len({bytes(item) for item in listing.items}) == 100
    assert [query["limit"] for query in server.queries[SERVICES]] == ["500", "62"] + ["7"] * 15


async def test_an_object_that_is_larger_than_a_page_of_many_is_read(
    server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, one object of one user would prevent every complete list."""
    monkeypatch.setattr(exchange, "MOST_BYTES", 5_000)
    await server.put("/api/v1/namespaces/shop/services/s", {"spec": {"x": "x" * 10_000}})
    await server.put("/api/v1/namespaces/shop/services/t", {})
    async with ApiClient(ApiServerConnection(server.url)) as client:
        listing = await list_all(client, CHILDREN[Kind.SERVICE], None)
    assert len(listing.items) == 2


async def test_an_object_that_is_too_large_alone_is_an_outage(
    server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server has no such object; an endless response must not fill the memory."""
    monkeypatch.setattr(exchange, "MOST_BYTES", 5_000)
    monkeypatch.setattr(exchange, "MOST_BYTES_OF_ONE", 5_000)
    await server.put("/api/v1/namespaces/shop/services/s", {"spec": {"x": "x" * 10_000}})
    async with ApiClient(ApiServerConnection(server.url)) as client:
        with pytest.raises(UnavailableError, match="exceeds 5000 bytes"):
            await list_all(client, CHILDREN[Kind.SERVICE], None)


def test_a_token_is_read_again_after_a_minute_or_when_rejected(tmp_path: Path) -> None:
    """The kubelet replaces the file."""
    file, clock = tmp_path / "token", FakeClock()
    file.write_text("one\n")
    token = TokenFile(file, clock)
    assert token.read() == "one"
    file.write_text("two")
    clock.now += 59
    assert token.read() == "one"
    clock.now += 1
    assert token.read() == "two"
    file.write_text("three")
    token.expire()
    assert token.read() == "three"


async def test_a_rejected_token_is_looked_up_again_and_tried_once(server: FakeApiServer, tmp_path: Path) -> None:
    """A rotation causes no failed pass; a wrong token does."""
    file = tmp_path / "token"
    file.write_text("old")
    server.tokens = {"old"}
    async with ApiClient(ApiServerConnection(server.url, token=TokenFile(file))) as client:
        await client.request("GET", SERVICES, kind="Service")
        server.tokens = {"new"}
        file.write_text("new")
        await client.request("GET", SERVICES, kind="Service")
        server.tokens = {"newer"}
        with pytest.raises(UnavailableError) as raised:
            await client.request("GET", SERVICES, kind="Service")
    assert raised.value.status == 401
    assert server.requests["GET", SERVICES] == 4


def a_kubeconfig(tmp_path: Path, server: str, **user: object) -> Path:
    """A kubeconfig with one context."""
    path = tmp_path / "kubeconfig"
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


async def test_a_kubeconfig_with_a_token(server: FakeApiServer, tmp_path: Path) -> None:
    """In the kubeconfig, or in a file next to it."""
    server.tokens = {"secret"}
    (tmp_path / "token").write_text("secret")
    for user in ({"token": "secret"}, {"tokenFile": "token"}):
        connection = connect(a_kubeconfig(tmp_path, f"{server.url}/", **user))
        assert connection.namespace == "shop"
        async with ApiClient(connection) as client:
            await client.request("GET", SERVICES, kind="Service")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"current-context": "there"}, "contexts has no entry named 'there'"),
        ({"clusters": []}, "clusters has no entry named 'c'"),
        ({"users": None}, "users has no entry named 'u'"),
        ({"clusters": [{"name": "c"}]}, "server must be an http"),
        ({"clusters": [{"name": "c", "cluster": {"server": "api.example.org"}}]}, "not 'api.example.org'"),
        ({"contexts": [{"name": "here", "context": "c"}]}, "context of 'here' in contexts has no fields"),
        (
            {"clusters": [{"name": "c", "cluster": {"server": "https://a", "certificate-authority-data": "?"}}]},
            "certificate or key cannot be loaded",
        ),
        ({"users": [{"name": "u", "user": {"exec": {"command": "x"}}}]}, "use a client certificate or a token"),
    ],
)
def test_an_unusable_kubeconfig_is_reported_with_the_reason(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    """The message names the file."""
    path = a_kubeconfig(tmp_path, "http://127.0.0.1:1")
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(NoConnectionError, match=words) as raised:
        from_kubeconfig(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a kubeconfig: it has no fields"),
        ("- a", "is not a kubeconfig: it has no fields"),
        ("{", "cannot be read as a kubeconfig"),
        ("a: \x00", "cannot be read as a kubeconfig"),
    ],
)
def test_a_file_that_is_not_a_kubeconfig_is_reported(tmp_path: Path, text: str, words: str) -> None:
    """In one sentence, without a traceback."""
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(NoConnectionError, match=words) as raised:
        from_kubeconfig(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_several_kubeconfigs_are_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first value takes precedence; missing files are skipped; paths are relative to their file."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "token").write_text("from b")
    first = {
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "first"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://first"}}],
    }
    (tmp_path / "a" / "kubeconfig").write_text(yaml.safe_dump(first))
    second = a_kubeconfig(tmp_path / "b", "http://second", tokenFile="token")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{tmp_path}/a/kubeconfig::{second}")
    connection = connect()
    assert (connection.server, connection.namespace) == ("http://first", "first")
    assert isinstance(connection._token, TokenFile)
    assert connection._token.read() == "from b"


def test_a_missing_kubeconfig_is_reported_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a cluster, there are no other credentials."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NoConnectionError, match="none does not exist; set --kubeconfig or KUBECONFIG"):
        connect()


def test_paths_of_collections_objects_and_subresources() -> None:
    """Core kinds are below /api, all others below /apis."""
    assert CHILDREN[Kind.SERVICE].path(None) == "/api/v1/services"
    assert CHILDREN[Kind.DISRUPTION_BUDGET].path("a", "b") == "/apis/policy/v1/namespaces/a/poddisruptionbudgets/b"
    assert CHILDREN[Kind.NETWORK_POLICY].plural == "networkpolicies"
    assert LEASES.path("a").endswith("/namespaces/a/leases")
    assert EVENTS.path("a") == "/apis/events.k8s.io/v1/namespaces/a/events"
    assert MODEL_DEPLOYMENTS.path("a", "b", "status").endswith("/namespaces/a/modeldeployments/b/status")


async def _read_silent_watch(client: ApiClient) -> None:
    async with client.stream(SERVICES, kind="Service", query={"watch": "1"}, silence=0.05) as chunks:
        async for _ in chunks:
            pass
