"""The commands that send requests, over TLS: as without it, or with one sentence that says what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.certificates import Authority
from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.inference_server import Backend, Model, grpc_server, http_server
from tests.tls_relay import tls_relay
from tests.tritonctl import tritonctl
from triton_operator.cli.bench.wire import connections
from triton_operator.sdk.address import Protocol, ServerAddress
from triton_operator.sdk.protocol_json import RequestBody
from triton_operator.sdk.security import Security, Trust

SERVERS = {"http": http_server, "grpc": grpc_server}
NAME = "digits.models.svc"
QUICK = ("--duration", "0.6", "--warm-up", "0.2", "--connections", 2)
TLS = {"https": f"https://{NAME}:8443", "caBundleRef": {"name": "triton-operator-ca", "key": "ca.crt"}}


@pytest.fixture
def authority(cluster: FakeCluster) -> Authority:
    """The authority of a deployment with a Managed certificate."""
    found = Authority()
    deployment = {"metadata": {"name": "digits", "namespace": NAMESPACE}, "spec": {"models": [{"name": "digits"}]}}
    cluster.answer({**deployment, "status": {"endpoints": TLS}})
    cluster.put("configmaps", {"metadata": {"name": "triton-operator-ca"}, "data": {"ca.crt": found.pem}})
    return found


@pytest.fixture(params=SERVERS)
def protocol(request: pytest.FixtureRequest) -> str:
    """Each in turn."""
    return str(request.param)


@pytest.fixture
def backend() -> Backend:
    """A server with one model, whose callers need a token."""
    return Backend({"digits": Model({"INPUT__0": ("FP32", [-1, 1, 28, 28])})}, tokens={"granted"})


@pytest.fixture
def address(
    protocol: str, backend: Backend, authority: Authority, cluster: FakeCluster, tmp_path: Path
) -> Iterator[str]:
    """The address of the server, to which kubectl forwards."""
    with SERVERS[protocol](backend) as plain, tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        cluster.forward(address)
        yield address


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A request."""
    file = tmp_path / "request.json"
    file.write_text(json.dumps([[[[1.0] * 28] * 28]]))
    return file


def test_requests_carry_a_token_of_the_service_account(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, protocol: str, address: str, blank: Path
) -> None:
    """Requested from the API server; `infer` and `bench` send it over TLS."""
    cluster.grant(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/app/token", "granted", "2126-01-01T00:00:00Z")
    for command in (("infer", "digits", "-i", blank), ("bench", "digits", *QUICK), ("explain", "digits", "-i", blank,
                     "--samples", 60)):  # fmt: skip
        outcome = tritonctl(capsys, *command, "-p", protocol, "--service-account", "app", "-o", "json")
        assert outcome.code == 0, (command, outcome.err)
        assert json.loads(outcome.out)
    assert all("service/digits :8443" in call for call in cluster.calls)


def test_the_status_shows_the_address_with_tls(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, authority: Authority
) -> None:
    outcome = tritonctl(capsys, "status", "digits")
    assert f"HTTP and gRPC with TLS https://{NAME}:8443   (inside the cluster)" in outcome.out


def test_without_a_token_the_message_says_how_to_send_one(
    capsys: pytest.CaptureFixture[str], protocol: str, address: str, blank: Path
) -> None:
    for command in (("infer", "digits", "-i", blank), ("bench", "digits", "-i", blank, *QUICK)):
        outcome = tritonctl(capsys, *command, "-p", protocol)
        assert outcome.code == 1
        assert "it requires a token; pass token, token_file (--token-file)" in outcome.err


def test_a_url_with_a_file_of_authorities_and_a_file_with_a_token(
    capsys: pytest.CaptureFixture[str], protocol: str, address: str, authority: Authority, blank: Path, tmp_path: Path
) -> None:
    """Without a cluster."""
    (tmp_path / "ca.crt").write_text(authority.pem)
    (tmp_path / "token").write_text("granted\n")
    options = ("--url", f"https://{address}", "--ca-file", tmp_path / "ca.crt", "--token-file", tmp_path / "token")
    for command in (("infer", "digits", "-i", blank), ("bench", "digits", *QUICK)):
        outcome = tritonctl(capsys, *command, "-p", protocol, *options, "--server-name", NAME, "-o", "json")
        assert outcome.code == 0, outcome.err
        outcome = tritonctl(capsys, *command, "-p", protocol, *options, "-o", "json")
        assert outcome.code == 3
        assert "its certificate is not for 127.0.0.1" in outcome.err


def test_a_certificate_that_becomes_invalid_is_reported_by_bench_in_the_same_sentence(
    capsys: pytest.CaptureFixture[str], protocol: str, backend: Backend, tmp_path: Path, blank: Path
) -> None:
    """It sends its requests without the client."""
    backend.tokens = set()
    trusted, other = Authority(), Authority()
    (tmp_path / "ca.crt").write_text(trusted.pem)
    address = ServerAddress("", security=Security(Trust(trusted.pem, NAME)))
    with SERVERS[protocol](backend) as plain, tls_relay(other.issue(tmp_path, [NAME]), plain) as target:
        endpoint = replace(address, target=target)
        request = RequestBody({"INPUT__0": np.zeros((1, 1, 28, 28), np.float32)})
        with connections(endpoint, Protocol(protocol), "digits", request, 5)() as send:
            assert send().startswith(f"UNAVAILABLE: {target} cannot be trusted: its certificate is not signed by")
    assert backend.received == []
