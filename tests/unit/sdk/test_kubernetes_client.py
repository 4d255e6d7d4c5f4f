"""The client for the API server: which requests it retries, when it gives up, and how it follows objects."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_cluster import DEPLOYMENTS, NAMESPACE, FakeCluster, write_kubeconfig
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS, PODS
from triton_operator.sdk.cluster_objects import LogOptions, Selection
from triton_operator.sdk.errors import (
    DeploymentNotFoundError,
    InvalidRequestError,
    RejectedError,
    SdkError,
    UnreachableError,
)
from triton_operator.sdk.follow import follow
from triton_operator.sdk.kube_context import KubeContext
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.stop import Stop

ALL = Selection(MODEL_DEPLOYMENTS)


def named(name: str, **content: Any) -> dict[str, Any]:
    """A ModelDeployment with this name."""
    return {"metadata": {"name": name, "namespace": NAMESPACE}, **content}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """An empty cluster."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        yield cluster


@pytest.mark.parametrize("code", [429, 503])
def test_a_request_is_sent_again_if_the_server_requests_it(cluster: FakeCluster, code: int) -> None:
    """For any verb, because the server has not processed it."""
    cluster.put(DEPLOYMENTS, named("digits"))
    client = KubernetesClient()
    cluster.fail_once(DEPLOYMENTS, code, retry_after=0)
    assert client.get(MODEL_DEPLOYMENTS, "digits")["metadata"]["name"] == "digits"
    cluster.fail_once("reviews", code, retry_after=0)
    review = {"spec": {"resourceAttributes": {"resource": "pods"}}}
    assert client.create("/apis/x/v1/reviews", review)["status"] == {"allowed": True}
    assert len(cluster.requests) == 4


@pytest.mark.parametrize("seconds", [3600, 10**400, 10**4299], ids=["hour", "400 digits", "4300 digits"])
def test_a_server_that_is_busy_for_too_long_is_an_error(cluster: FakeCluster, seconds: int) -> None:
    """Immediately, if it requests a longer pause than the timeout of a request."""
    cluster.fail_once(DEPLOYMENTS, 429, retry_after=seconds)
    with pytest.raises(RejectedError):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
    assert len(cluster.requests) == 1


def test_an_error_without_that_header_is_not_sent_again(cluster: FakeCluster) -> None:
    cluster.fail(DEPLOYMENTS, 503, "no endpoints")
    with pytest.raises(UnreachableError, match="503"):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
    assert len(cluster.requests) == 1


def test_a_server_that_is_no_api_server_is_named(cluster: FakeCluster) -> None:
    """A proxy that requires a login responds with a page."""
    cluster.log("digits-a", "triton", "<html>")
    with pytest.raises(UnreachableError, match="not a JSON object but b'<html>'"):
        KubernetesClient().get_path("/api/v1/namespaces/models/pods/digits-a/log", {"container": "triton"})


def test_a_certificate_of_another_authority_is_rejected(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not even use TLS; the message says so."""
    url = cluster.url.replace("http://", "https://")
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, url)))
    with pytest.raises(UnreachableError, match="SSL"):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")


def test_several_kubeconfigs_are_merged(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in KUBECONFIG; missing files are skipped."""
    second = tmp_path / "second"
    second.write_text(
        "contexts: [{name: there, context: {cluster: c, user: u, namespace: other}}]\ncurrent-context: there\n"
    )
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'kubeconfig'}:{second}")
    cluster.put(DEPLOYMENTS, named("digits"))
    client = KubernetesClient(KubeContext(context="there"))
    assert client.namespace == "other"
    client.get(MODEL_DEPLOYMENTS, "digits")
    assert "/namespaces/other/" in cluster.requests[-1]
    assert KubernetesClient().namespace == NAMESPACE


@pytest.mark.parametrize(("script", "sentence"), [("echo no login >&2; exit 7", "7"), ("echo '{}'", "apiVersion")])
def test_an_exec_plugin_that_fails_is_named(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    """Instead of a request without credentials, which the server would reject with another reason."""
    plugin = tmp_path / "login"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o755)
    file = tmp_path / "kubeconfig"
    config = json.loads(file.read_text())
    execution = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    config["users"] = [{"name": "u", "user": {"exec": execution}}]
    file.write_text(json.dumps(config))
    with pytest.raises(UnreachableError, match=sentence):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
    assert cluster.requests == []


def test_following_continues_after_an_expired_watch(cluster: FakeCluster) -> None:
    """With a new list; a deletion in between is an event."""
    cluster.put(DEPLOYMENTS, named("digits"), named("words"))
    cluster.watch({"type": "ERROR", "object": {"code": 410}})
    events = follow(KubernetesClient(), ALL)
    assert [next(events).object["metadata"]["name"] for _ in range(2)] == ["digits", "words"]
    cluster.put(DEPLOYMENTS, named("digits", spec={"replicas": 2}))
    received = [next(events) for _ in range(2)]
    assert [(event.kind, event.object["metadata"]["name"]) for event in received] == [
        ("DELETED", "words"),
        ("ADDED", "digits"),
    ]
    events.close()


def test_following_one_that_may_be_read_but_not_listed(cluster: FakeCluster) -> None:
    """It is read repeatedly, with growing pauses."""
    cluster.put(DEPLOYMENTS, named("digits"))
    cluster.fail("list modeldeployments", 403, "cannot list")
    cluster.fail("watch modeldeployments", 403, "cannot watch")
    events = follow(KubernetesClient(), Selection(MODEL_DEPLOYMENTS, name="digits"))
    assert next(events).object["metadata"]["name"] == "digits"
    cluster.put(DEPLOYMENTS, named("digits", spec={"replicas": 2}))
    assert next(events).object["spec"] == {"replicas": 2}
    events.close()


def test_an_error_while_following_is_raised_or_reported(cluster: FakeCluster) -> None:
    """The first one is always raised."""
    cluster.fail("watch modeldeployments", 403, "cannot watch")
    cluster.put(DEPLOYMENTS, named("digits"))
    errors: list[SdkError] = []
    raising, reporting = follow(KubernetesClient(), ALL), follow(KubernetesClient(), ALL, on_error=errors.append)
    next(raising)
    next(reporting)
    cluster.fail_once(f"list {DEPLOYMENTS}", 500)
    with pytest.raises(UnreachableError):
        next(raising)
    cluster.fail_once(f"list {DEPLOYMENTS}", 500)
    cluster.put(DEPLOYMENTS, named("words"))
    assert next(reporting).kind == "DELETED"
    assert [type(error) for error in errors] == [UnreachableError]
    reporting.close()
    with pytest.raises(DeploymentNotFoundError):
        next(follow(KubernetesClient(), Selection(MODEL_DEPLOYMENTS, name="none"), on_error=errors.append))


def test_a_log_is_followed_until_it_is_stopped(cluster: FakeCluster) -> None:
    """From another thread, while it waits for the next line."""
    cluster.log("digits-a", "triton", "one\ntwo\n")
    stop, two = Stop(), threading.Event()
    lines: list[str] = []

    def read() -> None:
        for line in KubernetesClient().log("digits-a", "triton", "", LogOptions(follow=True), stop):
            lines.append(line)
            if line == "two":
                two.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert two.wait(60)
    stop.now()
    thread.join(60)
    assert not thread.is_alive()
    assert lines == ["one", "two"]


def test_a_stop_before_the_start_ends_a_log(cluster: FakeCluster) -> None:
    """Ctrl-C may arrive at any time."""
    stop = Stop()
    stop.now()
    assert list(KubernetesClient().log("digits-a", "triton", "", LogOptions(follow=True), stop)) == []
    assert list(follow(KubernetesClient(), Selection(PODS), stop=stop)) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../pods/web", "digits/status", "..%2fpods"])
def test_a_name_does_not_lead_to_another_object(cluster: FakeCluster, name: str) -> None:
    """A path such as `modeldeployments/../pods/web` is the path of a pod: nothing is sent."""
    client = KubernetesClient()
    with pytest.raises(InvalidRequestError, match=r"^name: '.*' is not a valid name"):
        client.get(MODEL_DEPLOYMENTS, name)
    with pytest.raises(InvalidRequestError, match=r"^name: "):
        client.delete(MODEL_DEPLOYMENTS, name, uid="u")
    with pytest.raises(InvalidRequestError, match=r"^name: "):
        client.apply(MODEL_DEPLOYMENTS, named(name), manager="m")
    with pytest.raises(InvalidRequestError, match=r"^name: "):
        list(client.log(name, "triton", "", LogOptions()))
    if name:
        with pytest.raises(InvalidRequestError, match=r"^namespace: "):
            client.list(Selection(MODEL_DEPLOYMENTS, name))
    assert cluster.requests == []


def test_characters_of_a_url_in_a_name_are_quoted(cluster: FakeCluster) -> None:
    with pytest.raises(DeploymentNotFoundError):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits?watch=true#a b")
    assert cluster.requests[0].endswith("/modeldeployments/digits%3Fwatch%3Dtrue%23a%20b")


@pytest.mark.parametrize("verb", ["log", "watch", "list"])
def test_a_stop_ends_the_wait_for_the_start_of_a_response(cluster: FakeCluster, verb: str) -> None:
    """A kubelet sends the header of a followed log with its first line, which may never arrive."""
    cluster.hang("pods")
    client, stop = KubernetesClient(), Stop()
    lines: list[object] = []

    def read() -> None:
        if verb == "log":
            lines.extend(client.log("digits-a", "triton", "", LogOptions(follow=True), stop))
        elif verb == "watch":
            lines.extend(client.watch(Selection(PODS), "1", seconds=600, stop=stop))
        else:
            lines.extend(follow(client, Selection(PODS), stop=stop))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert cluster.requested.wait(60)
    stop.now()
    thread.join(60)
    assert not thread.is_alive()
    assert lines == []


@pytest.mark.parametrize("token", ["secret\n", "sec\nret", "secret\r\nX: y"])
def test_a_token_that_cannot_be_sent_is_not_shown(cluster: FakeCluster, tmp_path: Path, token: str) -> None:
    """A YAML block ends with a line break; neither the message nor a traceback contains the token."""
    file = tmp_path / "kubeconfig"
    config = json.loads(file.read_text())
    config["users"][0]["user"]["token"] = token
    file.write_text(json.dumps(config))
    with pytest.raises(UnreachableError, match="the token has a line break") as caught:
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
    assert "Bearer " not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__suppress_context__
    assert cluster.requests == []


@pytest.mark.parametrize(
    ("change", "message"),
    [({"as": "jane", "as-groups": ["system:masters"]}, "sets as, as-groups, and impersonation"), (None, "has no user")],
    ids=["impersonation", "no such user"],
)
def test_a_user_whose_rights_the_requests_would_not_have_is_rejected(
    cluster: FakeCluster, tmp_path: Path, change: dict[str, object] | None, message: str
) -> None:
    """The package would ignore `as`, and would send requests without credentials for a missing user."""
    file = tmp_path / "kubeconfig"
    config = json.loads(file.read_text())
    if change is None:
        config["users"][0]["name"] = "another"
    else:
        config["users"][0]["user"] |= change
    file.write_text(json.dumps(config))
    with pytest.raises(UnreachableError, match=message):
        KubernetesClient().get(MODEL_DEPLOYMENTS, "digits")
    assert cluster.requests == []


@pytest.mark.parametrize("text", ["[1]", "only text", "clusters: 5", "current-context: [a]\ncontexts: text"])
def test_a_malformed_kubeconfig_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "malformed"
    file.write_text(text)
    with pytest.raises(UnreachableError, match="no cluster is configured"):
        KubernetesClient(KubeContext(str(file))).get(MODEL_DEPLOYMENTS, "digits")
