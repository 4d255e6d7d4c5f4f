"""The supervisor: what it does when files change, are invalid or missing, and when it is stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from tests.proxy.certificates import Authority, Pair
from tests.proxy.clients import LINEAR, Client, infer_request
from tests.proxy.running_proxy import Proxy, accepts, running_proxy, wait_until
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.api.conditions import Reason
from triton_operator.api.names import CONTAINER_PROXY
from triton_operator.api.spec import Endpoint
from triton_operator.cluster.observed import Container, Terminated
from triton_operator.local.ports import Ports
from triton_operator.reconcile.container_ends import judge_end
from triton_operator.triton.proxy_contract.policy import (
    Caller,
    CertificateRule,
    Claim,
    Issuer,
    Limits,
    ProxyPolicy,
    TokenRule,
)

SIGNER = Signer()
WITH_TOKENS = ProxyPolicy(
    callers=(Caller("robot", token=TokenRule("issuer", (AUDIENCE,), (Claim("sub", "robot"),))),),
    issuers=(Issuer("issuer", (SIGNER.public(),)),),
)
ONLY_HAPROXY_REJECTS = ProxyPolicy(
    callers=(Caller("trainer", certificate=CertificateRule(subject="CN=trainer")),), client_cas="nonsense"
)
"""It has a caller's authorities, which the checks of the proxy do not parse."""
CONFIG = "/v2/models/linear_regression/config"


@pytest.fixture
def own(triton: Ports, authority: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of one test."""
    with running_proxy(tmp_path / "pod", triton, ProxyPolicy(), authority.issue()) as proxy:
        yield proxy


def test_a_changed_policy_is_used_without_a_failed_request(own: Proxy, authority: Authority) -> None:
    """One connection sends requests during the reload, and reconnects only when a response says so."""
    client = Client(own.https, authority.pem)
    assert client.request("GET", CONFIG).status == 404
    own.set_policy(ProxyPolicy(open_endpoints=(Endpoint.MODEL_CONFIG,)))
    with closing(http.client.HTTPSConnection("localhost", own.https, context=client.context())) as connection:
        while not any(line.get("proxy") == "reloaded" for line in own.lines):
            connection.request("POST", "/v2/models/linear_regression/infer", json.dumps(LINEAR))
            response = connection.getresponse()
            assert (response.status, response.read() != b"") == (200, True)
    # Triton itself closes this API, with an answer other than that of the proxy.
    wait_until(lambda: client.request("GET", CONFIG).status == 403)


def test_a_renewed_certificate_is_used_without_a_restart(own: Proxy, authority: Authority) -> None:
    before, master = served_certificate(own, authority), own.process.pid
    own.set_certificate(authority.issue("renewed"))
    own.wait_for("reloaded")
    wait_until(lambda: served_certificate(own, authority) != before)
    assert own.process.pid == master
    assert own.process.poll() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda own, pair: own.policy.write({"policy.json": b"{"}), "the policy cannot be read: "),
        (lambda own, pair: own.policy.write({"policy.json": b'{"new_field":1}'}), "unknown field `new_field`"),
        (lambda own, pair: own.policy.write({}), "the policy is missing: policy.json"),
        (
            lambda own, pair: own.set_certificate(Pair(pair.certificate, Authority().issue().key)),
            "the serving certificate does not match its key",
        ),
        (lambda own, pair: own.set_certificate(Pair(b"nonsense\n", pair.key)), "the serving certificate cannot"),
        (
            lambda own, pair: own.tls.write({"tls.crt": pair.certificate}),
            "the key of the serving certificate is missing",
        ),
        (lambda own, pair: own.set_policy(ONLY_HAPROXY_REJECTS), "HAProxy rejects the configuration: "),
    ],
    ids=["no JSON", "unknown field", "no policy", "other key", "no certificate", "no key", "no authorities"],
)
def test_invalid_files_change_nothing_and_are_reported(
    own: Proxy, authority: Authority, change: Callable[[Proxy, Pair], None], words: str
) -> None:
    client = Client(own.https, authority.pem)
    change(own, authority.issue())
    assert words in own.wait_for("rejected")["message"]
    assert client.infer().status == 200
    own.set_policy(ProxyPolicy(open_endpoints=(Endpoint.MODEL_CONFIG,)))
    own.set_certificate(authority.issue())
    own.wait_for("reloaded")
    wait_until(lambda: client.request("GET", CONFIG).status == 403)


def test_a_certificate_that_clients_would_refuse_is_not_loaded(own: Proxy, authority: Authority) -> None:
    before = served_certificate(own, authority)
    own.set_certificate(authority.issue(life=timedelta(seconds=-60)))
    assert "the serving certificate expired at " in own.wait_for("rejected")["message"]
    own.set_policy(ProxyPolicy(server_names=("digits.shop.svc",)))
    own.set_certificate(authority.issue())
    said = own.wait_for("rejected", 2)["message"]
    assert "the serving certificate is for localhost; expected digits.shop.svc" in said
    assert served_certificate(own, authority) == before


def test_the_first_start_waits_for_valid_files(triton: Ports, authority: Authority, tmp_path: Path) -> None:
    with running_proxy(tmp_path / "pod", triton, ProxyPolicy(), None) as proxy:
        assert proxy.wait_for("waiting")["message"] == "the serving certificate is missing: tls.crt"
        proxy.set_certificate(authority.issue())
        proxy.wait_for("started")
        wait_until(lambda: reachable(Client(proxy.https, authority.pem)))


def test_a_start_without_valid_files_ends_with_a_termination_message(triton: Ports, tmp_path: Path) -> None:
    with running_proxy(tmp_path / "pod", triton, ProxyPolicy(), None, "--wait", "1") as proxy:
        assert proxy.process.wait(20) == 1
        said = json.loads(proxy.termination_log.read_text())
    assert said == {"proxy": "failed", "message": "the serving certificate is missing: tls.crt"}


@pytest.mark.parametrize(
    ("break_pair", "name", "words"),
    [
        (lambda pair: Pair(pair.certificate, Authority().issue().key), "localhost", "does not match its key"),
        (lambda pair: Pair(pair.certificate, b""), "localhost", "has a key that cannot be read"),
        (lambda pair: Pair(b"nonsense\n", pair.key), "localhost", "cannot be read"),
        (lambda pair: Authority().issue(life=timedelta(seconds=-60)), "localhost", "expired at "),
        (lambda pair: pair, "digits.shop.svc", "is for localhost; expected digits.shop.svc"),
    ],
    ids=["other key", "no key", "no certificate", "expired", "other name"],
)
def test_the_operator_reports_an_unusable_certificate_of_a_user(
    triton: Ports, authority: Authority, tmp_path: Path, break_pair: Callable[[Pair], Pair], name: str, words: str
) -> None:
    """It cannot read the Secret, and quotes the termination message."""
    policy = ProxyPolicy(server_names=(name,))
    with running_proxy(tmp_path / "pod", triton, None, break_pair(authority.issue()), "--wait", "2") as proxy:
        proxy.set_policy(policy)
        assert proxy.process.wait(20) == 1
        ended = Terminated(exit_code=1, message=proxy.termination_log.read_text())
    (diagnosis,) = judge_end(Container(name=CONTAINER_PROXY, init=True), ended)
    assert diagnosis.reason == Reason.CERTIFICATE_INVALID
    assert diagnosis.message.startswith(f"container proxy: the serving certificate {words}")


def test_the_signal_to_terminate_stops_everything(own: Proxy) -> None:
    wait_until(lambda: len(own.haproxies()) == 2)
    assert own.stop() == 0
    assert own.haproxies() == []


def test_the_end_of_haproxy_is_the_end_of_the_container(own: Proxy) -> None:
    wait_until(lambda: len(own.haproxies()) == 2)
    os.kill(max(own.haproxies()), signal.SIGKILL)
    assert own.process.wait(20) == 137
    assert json.loads(own.termination_log.read_text())["message"] == "HAProxy ended with exit status 137"


def test_only_the_owner_can_read_the_rendered_files(own: Proxy) -> None:
    files = [path for path in (own.folder / "work").rglob("*") if path.is_file() and not path.is_symlink()]
    assert "serving.pem" in {path.name for path in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_old_tls_is_refused(own: Proxy, authority: Authority) -> None:
    client = Client(own.https, authority.pem)
    assert client.request("GET", "/v2/health/live").status == 200
    old = client.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = http.client.HTTPSConnection("localhost", own.https, context=old)
    with closing(connection), pytest.raises(ssl.SSLError):
        connection.request("GET", "/v2/health/live")


def served_certificate(proxy: Proxy, authority: Authority) -> bytes:
    context = Client(proxy.https, authority.pem).context()
    with (
        socket.create_connection(("127.0.0.1", proxy.https), timeout=15) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
        assert certificate
        return certificate


def reachable(client: Client) -> bool:
    try:
        return client.request("GET", "/v2/health/live").status == 200
    except ConnectionError:
        return False


def test_an_idle_connection_of_a_removed_caller_has_no_access(own: Proxy, authority: Authority) -> None:
    """The old worker passes its next request on to the new one, which refuses it; the connection is then closed."""
    client = Client(own.https, authority.pem)
    with closing(http.client.HTTPSConnection("localhost", own.https, context=client.context())) as connection:
        body = json.dumps(LINEAR)
        connection.request("POST", "/v2/models/linear_regression/infer", body)
        response = connection.getresponse()
        assert (response.status, response.read() != b"") == (200, True)
        own.set_policy(ProxyPolicy(callers=()))
        own.wait_for("reloaded")
        wait_until(lambda: client.infer().status == 401)
        connection.request("POST", "/v2/models/linear_regression/infer", body)
        response = connection.getresponse()
        assert (response.status, response.read() != b"", response.will_close) == (401, True, True)


def test_a_channel_of_a_removed_caller_has_no_access(own: Proxy, authority: Authority) -> None:
    client = Client(own.https, authority.pem)
    with client.grpc() as stub:
        stub.ModelInfer(infer_request(), timeout=20)
        own.set_policy(ProxyPolicy(callers=()))
        own.wait_for("reloaded")
        wait_until(lambda: client.infer().status == 401)
        # The old worker, which sees the first call if the client has not yet read its GOAWAY, has another reason.
        for codes in ({"UNAUTHENTICATED", "PERMISSION_DENIED"}, {"UNAUTHENTICATED"}):
            with pytest.raises(grpc.RpcError) as refused:
                stub.ModelInfer(infer_request(), timeout=20)
            assert refused.value.code().name in codes


def test_a_connection_ends_at_its_age_without_a_failed_request(
    triton: Ports, authority: Authority, tmp_path: Path
) -> None:
    policy = ProxyPolicy(limits=Limits(max_connection_age_seconds=2))
    with running_proxy(tmp_path / "pod", triton, policy, authority.issue()) as proxy:
        client = Client(proxy.https, authority.pem)
        started, connections = time.monotonic(), 0
        while connections < 2:
            with closing(http.client.HTTPSConnection("localhost", proxy.https, context=client.context())) as connection:
                closed = False
                while not closed:
                    connection.request("GET", "/v2/health/live")
                    response = connection.getresponse()
                    assert (response.status, response.read()) == (200, b"")
                    closed = response.will_close
                connections += 1
        assert time.monotonic() - started > 3


@pytest.mark.parametrize("policy", [ProxyPolicy(), WITH_TOKENS], ids=["everybody", "callers with tokens"])
def test_an_ending_pod_serves_the_next_request_of_each_connection(
    triton: Ports, authority: Authority, tmp_path: Path, policy: ProxyPolicy
) -> None:
    """There is no new worker to pass it on to, or to verify its token, which the ending worker does not remember."""
    with running_proxy(tmp_path / "pod", triton, policy, authority.issue()) as proxy:
        client = Client(proxy.https, authority.pem, token=SIGNER.token() if policy.callers else "")
        with (
            closing(http.client.HTTPSConnection("localhost", proxy.https, context=client.context())) as connection,
            client.grpc() as stub,
        ):
            connection.request("GET", "/v2/models/linear_regression", headers=client.authorization())
            assert connection.getresponse().read()
            stub.ModelInfer(infer_request(), metadata=client.metadata(), timeout=20)
            proxy.process.terminate()
            proxy.wait_for("stopping")
            wait_until(lambda: not accepts(proxy.https))
            if policy.callers:
                client.token = SIGNER.token(jti="another")
            headers = client.authorization()
            connection.request("POST", "/v2/models/linear_regression/infer", json.dumps(LINEAR), headers)
            response = connection.getresponse()
            assert (response.status, response.read() != b"", response.will_close) == (200, True, True)
        assert proxy.process.wait(20) == 0
        assert proxy.haproxies() == []
