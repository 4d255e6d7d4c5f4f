"""The client for the API server against answers that no API server gives: each is an error in limited time."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fake_cluster import DEPLOYMENTS, NAMESPACE, FakeCluster, write_kubeconfig
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk.cluster_objects import Selection
from triton_operator.sdk.errors import UnreachableError
from triton_operator.sdk.follow import follow
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.stop import Stop

ALL = Selection(MODEL_DEPLOYMENTS)
PATH = f"/apis/triton-operator.io/v1alpha1/namespaces/{NAMESPACE}/modeldeployments"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that has nothing yet."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        yield cluster


@contextmanager
def sending(send: Callable[[socket.socket], None], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve each connection with `send` until the client closes it; KUBECONFIG names this server."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.recv(1 << 16)
                        send(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(folder, url)))
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)
    assert not thread.is_alive()


def send_slowly(connection: socket.socket) -> None:
    """One character after the other, each within the timeout of a read."""
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def send_events(connection: socket.socket) -> None:
    """Changes of nothing, without a pause."""
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b'{"type": "MODIFIED", "object": []}\n')


def test_a_response_that_arrives_slowly_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout of a read starts again with each byte."""
    with (
        sending(send_slowly, tmp_path, monkeypatch),
        pytest.raises(UnreachableError, match=r"has not ended after 0\.6 s"),
    ):
        KubernetesClient(timeout=0.2).get(MODEL_DEPLOYMENTS, "digits")


def test_a_watch_of_malformed_changes_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the server never pauses."""
    with sending(send_events, tmp_path, monkeypatch):
        events = KubernetesClient().watch(ALL, "1", seconds=0.5, stop=Stop())
        assert next(events) == ("MODIFIED", {})
        assert all(event == ("MODIFIED", {}) for event in events)


@pytest.mark.parametrize(
    "malformed", [[], {}, {"metadata": None}, {"metadata": []}, {"metadata": {"name": 1}}, "text", None]
)
def test_a_malformed_change_is_skipped(cluster: FakeCluster, malformed: Any) -> None:
    """The next one counts."""
    cluster.put(DEPLOYMENTS, {"metadata": {"name": "digits"}})
    after = {"metadata": {"name": "digits"}, "spec": {"replicas": 2}}
    cluster.watch({"type": "MODIFIED", "object": malformed}, after)
    events = follow(KubernetesClient(), ALL)
    assert [next(events).kind for _ in range(2)] == ["ADDED", "MODIFIED"]
    events.close()


def test_a_list_without_end_is_given_up(cluster: FakeCluster) -> None:
    """Each page has the same continuation."""
    cluster.document(PATH, {"metadata": {"continue": "again"}, "items": []})
    with pytest.raises(UnreachableError, match="has no end"):
        KubernetesClient().list(ALL)
    assert len(cluster.requests) == 2


@pytest.mark.parametrize("items", ["text", {"a": 1}, 7, [1], [[]], ["text"], [None]])
def test_items_that_are_no_list_of_objects_are_an_error(cluster: FakeCluster, items: Any) -> None:
    cluster.document(PATH, {"metadata": {}, "items": items})
    with pytest.raises(UnreachableError, match="`items` that is not a list of objects"):
        KubernetesClient().list(ALL)


@pytest.mark.parametrize("metadata", [None, [], "text", 7])
def test_a_list_without_metadata_has_no_version(cluster: FakeCluster, metadata: Any) -> None:
    cluster.document(PATH, {"metadata": metadata, "items": [{"metadata": {"name": "digits"}}]})
    found = KubernetesClient().list(ALL)
    assert (len(found.items), found.version) == (1, "")


@pytest.mark.filterwarnings("ignore:SOCKS support in urllib3")
def test_a_socks_proxy_without_its_package_is_named(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip installs it."""
    write_kubeconfig(tmp_path, cluster.url, **{"proxy-url": "socks5://127.0.0.1:1"})
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    with pytest.raises(UnreachableError, match=r"socks5://127\.0\.0\.1:1 requires a package: pip install pysocks"):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")


@pytest.mark.parametrize(("token", "sent"), [("null", False), ('""', False), ('"t"', True)])
def test_an_exec_plugin_without_a_token_is_named(cluster: FakeCluster, tmp_path: Path, token: str, sent: bool) -> None:
    """The package would send the token `None`."""
    plugin = tmp_path / "login"
    version = "client.authentication.k8s.io/v1"
    answer = f'{{"apiVersion": "{version}", "kind": "ExecCredential", "status": {{"token": {token}}}}}'
    plugin.write_text(f"#!/bin/sh\necho '{answer}'\n")
    plugin.chmod(0o755)
    file = tmp_path / "kubeconfig"
    config = json.loads(file.read_text())
    execution = {"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"}
    config["users"] = [{"name": "u", "user": {"exec": execution}}]
    file.write_text(json.dumps(config))
    cluster.put(DEPLOYMENTS, {"metadata": {"name": "digits"}})
    if sent:
        assert KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
        return
    with pytest.raises(UnreachableError, match="the user's exec plugin returned no token"):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
    assert cluster.requests == []
