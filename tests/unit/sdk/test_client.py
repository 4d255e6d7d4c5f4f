"""The client against a server in the test's process: results are unchanged, and each failure has its error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fake_cluster import FakeCluster, write_kubeconfig
from tests.inference_server import COMPLAINT, grpc_server, http_server
from triton_operator.sdk import (
    Client,
    DeploymentNotFoundError,
    InferenceError,
    InvalidRequestError,
    Protocol,
    UnreachableError,
)
from triton_operator.sdk.address import split_url
from triton_operator.sdk.kube_context import KubeContext, is_inside


def server(protocol: Protocol) -> AbstractContextManager[str]:
    """A server for this protocol."""
    return grpc_server() if protocol is Protocol.GRPC else http_server()


@pytest.fixture(params=list(Protocol))
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """An open client, once for each protocol."""
    with server(request.param) as address, Client("echo", protocol=request.param, url=address) as opened:
        yield opened


@pytest.mark.parametrize(
    "array",
    [
        np.array([[9, 10]], dtype=np.float32),
        np.array([True, False]),
        np.array(["我爱你", ""], dtype=object),
        np.array([["a"], ["b"]]),
        np.array([b"\xff\x00"], dtype=object),
        np.arange(24, dtype=np.int64).reshape(2, 3, 4),
        np.array([0.5], dtype=np.float16),
    ],
)
def test_an_echo_returns_what_was_sent(client: Client, array: np.ndarray[Any, Any]) -> None:
    """Over both protocols, including text and half precision."""
    answer = client.infer("echo", {"x": array})
    got = answer.outputs["x"]
    assert (answer.model, answer.version) == ("echo", "1")
    assert got.shape == array.shape
    expected = [value.encode() if isinstance(value, str) else value for value in array.reshape(-1).tolist()]
    assert got.reshape(-1).tolist() == expected
    assert answer.seconds > 0


def test_a_rejection_has_the_servers_message(client: Client) -> None:
    """It describes the problem best."""
    with pytest.raises(InferenceError, match=COMPLAINT.split("] ")[1]):
        client.infer("broken", {"x": np.zeros(1, np.float32)})


def test_readiness_is_per_model(client: Client) -> None:
    """A server may be ready without a model."""
    assert client.is_ready("echo")
    assert not client.is_ready("broken")


def test_an_array_without_a_triton_type_is_refused_before_anything_is_sent(client: Client) -> None:
    """The message names the input."""
    with pytest.raises(InvalidRequestError, match=r"inputs\['x'\]"):
        client.infer("echo", {"x": np.array([1j])})


@pytest.mark.parametrize("protocol", list(Protocol))
def test_nobody_listening_is_unreachable(protocol: Protocol) -> None:
    """In contrast to a rejection, the request may be sent again."""
    with server(protocol) as address:
        gone = address
    with Client("echo", protocol=protocol, url=gone, timeout=5) as client, pytest.raises(UnreachableError, match=gone):
        client.infer("echo", {"x": np.zeros(1, np.float32)})


def test_a_client_must_be_open() -> None:
    """Without `with`, the error says so."""
    with pytest.raises(UnreachableError, match="with Client"):
        Client("echo", url="127.0.0.1:1").infer("echo", {"x": np.zeros(1, np.float32)})


@pytest.mark.parametrize("protocol", list(Protocol))
def test_outside_the_cluster_it_uses_kubectl(
    protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the right Service, port and context, and the local port that kubectl chooses."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster, server(protocol) as address:
        cluster.answer({"metadata": {"name": "echo", "namespace": "models"}})
        cluster.forward(address)
        with Client("echo", "models", protocol=protocol, cluster=KubeContext(context="here")) as client:
            client.infer("echo", {"x": np.zeros(1, np.float32)})
        command = f"--context here port-forward --address=127.0.0.1 --namespace models service/echo :{protocol.port}"
        assert cluster.calls == [command]


def test_a_port_that_cannot_be_forwarded_has_the_error_of_the_api_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Service that does not exist is distinguished from an unreachable cluster and from a Service without pods."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        cluster.kubectl.fail("any words\n")
        with pytest.raises(DeploymentNotFoundError, match='modeldeployments "echo" not found'), Client("echo"):
            pass
        cluster.answer({"metadata": {"name": "echo"}})
        with pytest.raises(DeploymentNotFoundError, match='services "echo" not found'), Client("echo"):
            pass
        cluster.put("services", {"metadata": {"name": "echo"}})
        with pytest.raises(UnreachableError, match="service/echo: any words"), Client("echo"):
            pass
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, "http://127.0.0.1:1")))
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1"), Client("echo"):
        pass


def test_without_kubectl_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may not be installed."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        cluster.answer({"metadata": {"name": "echo"}})
        monkeypatch.setenv("PATH", str(tmp_path / "empty"))
        with pytest.raises(UnreachableError, match=r"kubectl is not on PATH.*--url"), Client("echo"):
            pass


def test_inside_a_cluster_the_service_is_the_address() -> None:
    """Unless another cluster is selected."""
    inside = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
    assert is_inside(inside, KubeContext())
    assert not is_inside({}, KubeContext())
    assert not is_inside(inside | {"KUBECONFIG": "other"}, KubeContext())
    assert not is_inside(inside, KubeContext(context="other"))


@pytest.mark.parametrize("scheme", ["http", "grpc", "https", "grpcs"])
def test_a_url_may_have_a_scheme(scheme: str) -> None:
    assert split_url(f"{scheme}://localhost:8000/") == (scheme, "localhost:8000")
    assert split_url("localhost:8000") == ("", "localhost:8000")
    with pytest.raises(UnreachableError, match="ftp"):
        split_url("ftp://localhost:8443")


@pytest.mark.parametrize(
    "url", ["localhost:http", "http://localhost:", "localhost:70000", "[::1]", "http://", "\n", "local host:1", "ü:1"]
)
def test_a_url_without_a_port_where_one_is_expected_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="HOST:PORT"):
        split_url(url)
    assert split_url("[::1]:8000") == ("", "[::1]:8000")
