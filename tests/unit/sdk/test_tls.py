"""The clients over TLS: a server is verified before anything is sent, over both protocols."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.certificates import Authority
from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.inference_server import REFUSED, Backend, grpc_server, http_server
from tests.tls_relay import recorder, tls_relay
from triton_operator.sdk import Client, InvalidRequestError, Protocol, RejectedError, UnreachableError
from triton_operator.sdk.tls_errors import tls_failure

NAME = "digits.models.svc"
ZERO = {"x": np.zeros(1, np.float32)}
MODEL_DEPLOYMENT = {"name": "digits", "namespace": NAMESPACE}
TLS = {
    "https": "https://digits.models.svc:8443",
    "caBundleRef": {"name": "triton-operator-ca", "key": "ca.crt"},
    "audience": "modeldeployments.triton-operator.io/models/digits",
}
"""Addresses in the status of a deployment with a Managed certificate."""


def serve(protocol: Protocol, backend: Backend) -> AbstractContextManager[str]:
    """A server for this protocol."""
    return grpc_server(backend) if protocol is Protocol.GRPC else http_server(backend)


@pytest.fixture(params=list(Protocol))
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Each in turn."""
    return Protocol(request.param)


@pytest.fixture
def backend() -> Backend:
    """What the server has and has received."""
    return Backend()


@pytest.fixture
def plain(protocol: Protocol, backend: Backend) -> Iterator[str]:
    """The address of a server without TLS."""
    with serve(protocol, backend) as address:
        yield address


@pytest.fixture
def authority() -> Authority:
    """The authority that clients trust."""
    return Authority()


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    """Its certificate."""
    file = tmp_path / "ca.crt"
    file.write_text(authority.pem)
    return file


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: Authority) -> Iterator[FakeCluster]:
    """A cluster with a deployment that has a Managed certificate."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        cluster.answer({"metadata": MODEL_DEPLOYMENT, "status": {"endpoints": TLS}})
        publish(cluster, authority.pem)
        yield cluster


def publish(cluster: FakeCluster, bundle: str) -> None:
    """Put the bundle into the namespace's ConfigMap."""
    cluster.put("configmaps", {"metadata": {"name": "triton-operator-ca"}, "data": {"ca.crt": bundle}})


def infer(client: Client) -> None:
    """Send one request."""
    assert client.infer("echo", ZERO).outputs["x"].tolist() == [0]


def send(protocol: Protocol, url: str, **options: Any) -> None:
    """Send one request with a client of its own."""
    with Client("digits", protocol=protocol, url=url, timeout=5, **options) as client:
        infer(client)


def test_a_url_with_tls_reaches_the_server(
    protocol: Protocol, plain: str, authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    """With the host's own name, and with another one."""
    with tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address:
        for url in (f"https://{address}", f"grpcs://{address}", address):
            send(protocol, url, ca_file=ca_file)
    with tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        send(protocol, f"https://{address}", ca_file=ca_file, server_name=NAME)


def test_the_authorities_of_the_machine_are_trusted_without_a_file(
    protocol: Protocol, plain: str, authority: Authority, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, if a certificate is signed by a company's authority; OpenSSL reads SSL_CERT_FILE."""
    with tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address:
        with pytest.raises(UnreachableError, match="authority"):
            send(protocol, f"https://{address}")
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        send(protocol, f"https://{address}")


@pytest.mark.parametrize(
    ("certificate", "sentence"),
    [
        (([NAME], (-3.0, -1.0)), "its certificate has expired"),
        (([NAME], (1.0, 2.0)), "its certificate is not valid yet"),
        ((["words.models.svc"], (-1.0, 1.0)), f"its certificate is not for {NAME}"),
    ],
)
def test_a_certificate_that_is_not_valid_is_not_trusted(  # noqa: PLR0917 -- fixtures
    protocol: Protocol,
    plain: str,
    backend: Backend,
    authority: Authority,
    ca_file: Path,
    tmp_path: Path,
    certificate: tuple[list[str], tuple[float, float]],
    sentence: str,
) -> None:
    """Nothing is sent. A valid certificate for the name is accepted."""
    names, days = certificate
    with (
        tls_relay(authority.issue(tmp_path, names, days=days), plain) as address,
        pytest.raises(UnreachableError, match=f"cannot be trusted: {sentence}"),
    ):
        send(protocol, f"https://{address}", ca_file=ca_file, server_name=NAME)
    assert backend.received == []
    with tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        send(protocol, f"https://{address}", ca_file=ca_file, server_name=NAME)


def test_a_certificate_of_another_authority_is_not_trusted(
    protocol: Protocol, plain: str, backend: Backend, ca_file: Path, tmp_path: Path
) -> None:
    """The message says which option gives the right one."""
    with (
        tls_relay(Authority().issue(tmp_path, ["127.0.0.1"]), plain) as address,
        pytest.raises(UnreachableError, match=r"not signed by a trusted authority.*tritonctl ca NAME"),
    ):
        send(protocol, f"https://{address}", ca_file=ca_file)
    assert backend.received == []


def test_a_plain_server_at_an_address_with_tls_gets_only_the_start_of_a_handshake(
    protocol: Protocol, plain: str, backend: Backend, ca_file: Path
) -> None:
    """The client does not fall back to plain, and the token and the inputs stay here."""
    with pytest.raises(UnreachableError, match="does not use TLS on this port"):
        send(protocol, f"https://{plain}", ca_file=ca_file, token="secret-token")
    assert backend.received == []
    with recorder() as (address, received):
        with pytest.raises(UnreachableError):
            send(protocol, f"https://{address}", ca_file=ca_file, token="secret-token")
        assert received[:2] == b"\x16\x03", "a TLS handshake record"
        assert b"secret-token" not in received
        assert b"echo" not in received


def test_a_server_with_tls_at_a_plain_address_is_named(
    protocol: Protocol, plain: str, authority: Authority, tmp_path: Path
) -> None:
    with (
        tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address,
        pytest.raises(UnreachableError, match="if the port requires TLS, use https:// or grpcs://"),
    ):
        send(protocol, address)


def test_a_deployment_tells_its_authorities(
    protocol: Protocol, plain: str, authority: Authority, cluster: FakeCluster, tmp_path: Path
) -> None:
    """The client verifies the Service's name, although it connects to a forwarded port."""
    with tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        cluster.forward(address)
        with Client("digits", protocol=protocol) as client:
            infer(client)
            assert client.address.server_name == NAME
    assert cluster.calls == ["port-forward --address=127.0.0.1 --namespace models service/digits :8443"]


@pytest.mark.parametrize("given", [True, False], ids=["authorities in a file", "authorities of the deployment"])
def test_the_port_is_that_of_the_service(
    protocol: Protocol,
    plain: str,
    authority: Authority,
    cluster: FakeCluster,
    ca_file: Path,
    tmp_path: Path,
    *,
    given: bool,
) -> None:
    """`spec.service.ports` may have another number."""
    endpoints = {**TLS, "https": "https://digits.models.svc:443"}
    cluster.answer({"metadata": MODEL_DEPLOYMENT, "status": {"endpoints": endpoints}})
    with tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        cluster.forward(address)
        with Client("digits", "models", protocol=protocol, ca_file=str(ca_file) if given else "") as client:
            infer(client)
    assert cluster.calls == ["port-forward --address=127.0.0.1 --namespace models service/digits :443"]


def test_a_deployment_requires_tls_1_3(
    protocol: Protocol, plain: str, backend: Backend, authority: Authority, cluster: FakeCluster, tmp_path: Path
) -> None:
    """Its proxy supports nothing else. gRPC for Python has no option for this, so only HTTP refuses older versions."""
    context = authority.issue(tmp_path, [NAME, "127.0.0.1"])
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    (tmp_path / "ca.crt").write_text(authority.pem)
    with tls_relay(context, plain) as address:
        cluster.forward(address)
        if protocol is Protocol.GRPC:
            send(protocol, "")
            return
        with pytest.raises(UnreachableError):
            send(protocol, "")
        assert backend.received == []
        send(protocol, f"https://{address}", ca_file=tmp_path / "ca.crt")  # Any other server may have TLS 1.2.


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version", "does not support TLS 1.3"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "a client certificate"),
        (
            "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired",
            "or reject the one that it received",
        ),
        ("ipv4:127.0.0.1:1: Unwrap failed (TSI_DATA_CORRUPTED)", "or reject the one that it received"),
        ("Tls handshake failed: OPENSSL_internal:CERTIFICATE_VERIFY_FAILED", "not signed by a trusted authority"),
        ("Custom verification check failed: Hostname Verification Check failed.", "is not for digits.models.svc"),
    ],
)
def test_a_failure_of_tls_is_a_sentence_and_is_not_retried(message: str, sentence: str) -> None:
    failure = tls_failure(message, "127.0.0.1:1", NAME)
    assert failure
    assert sentence in str(failure.error)
    assert not failure.is_retryable(idempotent=True)


@pytest.mark.parametrize("message", ["failed to connect to all addresses", "Socket closed", "SSL: connection reset"])
def test_a_lost_connection_is_no_failure_of_tls(message: str) -> None:
    """It may be retried."""
    assert tls_failure(message, "127.0.0.1:1", NAME) is None


def test_an_authority_that_was_replaced_is_read_again(
    protocol: Protocol, plain: str, authority: Authority, cluster: FakeCluster, tmp_path: Path
) -> None:
    """A program may keep its client open for years; the first request after the change succeeds too."""
    after = Authority("another authority")
    with tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        cluster.forward(address)
    with tls_relay(after.issue(tmp_path, [NAME]), plain) as address:
        cluster.forward(address)
        with Client("digits", protocol=protocol) as client:
            with pytest.raises(UnreachableError, match="not signed by a trusted authority"):
                infer(client)
            publish(cluster, after.pem + authority.pem)
            infer(client)


@pytest.mark.parametrize(
    ("requests", "error", "sentence"),
    [
        ("get modeldeployments", RejectedError, "it is not known whether digits uses TLS.*--ca-file"),
        ("get configmaps", RejectedError, "ConfigMap triton-operator-ca in namespace models.*--ca-file"),
    ],
)
def test_without_the_right_to_read_them_there_is_no_connection(
    plain: str, backend: Backend, cluster: FakeCluster, requests: str, error: type[Exception], sentence: str
) -> None:
    """And none without TLS."""
    cluster.forward(plain)
    cluster.fail(requests, 403, "forbidden")
    with pytest.raises(error, match=sentence), Client("digits"):
        pass
    assert backend.received == []
    assert cluster.calls == []


def test_a_file_replaces_what_may_not_be_read(
    protocol: Protocol, plain: str, authority: Authority, ca_file: Path, cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.fail("modeldeployments", 403, "forbidden")
    with tls_relay(authority.issue(tmp_path, [NAME]), plain) as address:
        cluster.forward(address)
        with Client("digits", protocol=protocol, ca_file=ca_file) as client:
            infer(client)
    assert cluster.calls == ["port-forward --address=127.0.0.1 --namespace models service/digits :8443"]


def test_a_deployment_without_addresses_is_not_connected_to(cluster: FakeCluster) -> None:
    """Its operator has not reported yet whether it has TLS."""
    cluster.put("modeldeployments", {"metadata": MODEL_DEPLOYMENT})
    with pytest.raises(UnreachableError, match="has not reported an address of digits yet"), Client("digits"):
        pass


def test_a_token_is_never_sent_without_tls(plain: str, backend: Backend, cluster: FakeCluster) -> None:
    """Neither to a URL nor to a deployment without TLS."""
    cluster.answer({"metadata": MODEL_DEPLOYMENT})
    for url in (plain, f"http://{plain}", ""):
        with pytest.raises(InvalidRequestError, match="a token is never sent without it"):
            send(Protocol.HTTP, url, token="t")
    assert backend.received == []


def test_a_token_that_was_replaced_in_its_file_is_used_for_the_next_request(
    protocol: Protocol, plain: str, backend: Backend, authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    """As the kubelet does it in a projected volume: a new file takes the name of the old one."""
    file = tmp_path / "token"
    file.write_text("one\n")
    with tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address:
        url = f"https://{address}"
        with Client("echo", protocol=protocol, url=url, ca_file=ca_file, token_file=file) as client:
            infer(client)
            (tmp_path / "new").write_text("two\n")
            (tmp_path / "new").rename(file)
            infer(client)
    sent = [{key.lower(): value for key, value in headers.items()}["authorization"] for headers in backend.headers]
    assert sent == ["Bearer one"] * (len(sent) - 1) + ["Bearer two"]


def test_a_rejected_token_is_replaced_once(
    protocol: Protocol, plain: str, backend: Backend, authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    """A source that has no other one is not asked again."""
    tokens = iter(["old", "new"])
    current = ["old"]

    def token() -> str:
        current[0] = next(tokens, current[0])
        return current[0]

    backend.tokens = {"new"}
    with tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address:
        url = f"https://{address}"
        send(protocol, url, ca_file=ca_file, token=token)
        requests = len(backend.received)
        with pytest.raises(RejectedError, match=rf"{REFUSED[401]} \(it rejected the token; check its audience"):
            send(protocol, url, ca_file=ca_file, token="old")
        assert len(backend.received) == requests + 1


def test_a_server_that_requires_a_token_or_permits_no_access_says_so(
    protocol: Protocol, plain: str, backend: Backend, authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    """In two different sentences."""
    backend.tokens, backend.forbidden = {"t"}, {"echo"}
    with tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address:
        url = f"https://{address}"
        with pytest.raises(RejectedError, match=rf"{REFUSED[401]} \(it requires a token; pass token, token_file"):
            send(protocol, url, ca_file=ca_file)
        with pytest.raises(RejectedError, match=rf"{REFUSED[403]} \(spec\.privacy\.clients lists"):
            send(protocol, url, ca_file=ca_file, token="t")


def test_a_refused_caller_gets_the_refusal_whatever_the_form_of_its_inputs(
    protocol: Protocol, plain: str, backend: Backend, authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    """An array needs the names of the inputs, and a server with TLS hides them only from callers that it refuses."""
    backend.forbidden = {"echo"}
    with (
        tls_relay(authority.issue(tmp_path, ["127.0.0.1"]), plain) as address,
        Client("x", protocol=protocol, url=f"https://{address}", ca_file=ca_file) as client,
        pytest.raises(RejectedError, match=REFUSED[403]),
    ):
        client.infer("echo", np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"])
def test_a_bundle_without_a_certificate_is_refused_before_connecting(
    protocol: Protocol, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(content)
    with pytest.raises(InvalidRequestError, match="ca_file"):
        send(protocol, "https://127.0.0.1:1", ca_file=file)


def test_a_file_of_authorities_does_not_fit_a_plain_url(ca_file: Path) -> None:
    with pytest.raises(InvalidRequestError, match="http:// has no TLS"):
        send(Protocol.HTTP, "http://127.0.0.1:1", ca_file=ca_file)
