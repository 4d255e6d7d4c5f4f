"""The audit log in front of a real Triton: one line for each request, without anything that was sent in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import LINEAR, Client, infer_request
from tests.proxy.running_proxy import Proxy, running_proxy
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.api.privacy import Audit
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import Caller, Issuer, ProxyPolicy, TokenRule

SIGNER = Signer()
CALLERS = (Caller("robot", token=TokenRule("issuer", (AUDIENCE,))),)
FIELDS = {
    *("time", "caller", "model", "protocol", "status", "grpcStatus", "durationMs"),
    *("requestBytes", "responseBytes", "reason"),
}


@pytest.fixture
def start(triton: Ports, authority: Authority, tmp_path: Path) -> Callable[[Audit], Any]:
    """A function that starts a proxy with this kind of log."""

    def proxy(audit: Audit) -> Any:
        policy = ProxyPolicy(callers=CALLERS, issuers=(Issuer("issuer", (SIGNER.public(),)),), audit=audit)
        return running_proxy(tmp_path / "pod", triton, policy, authority.issue())

    return proxy


def clients(proxy: Proxy, authority: Authority) -> tuple[Client, Client]:
    """A caller and a client without a token."""
    return Client(proxy.https, authority.pem, token=SIGNER.token()), Client(proxy.https, authority.pem)


def test_each_request_has_one_line(start: Callable[[Audit], Any], authority: Authority) -> None:
    with start(Audit.ALL) as proxy:
        caller, stranger = clients(proxy, authority)
        assert caller.infer().status == 200
        caller.call("ModelInfer", infer_request())
        assert stranger.infer().status == 401
        with pytest.raises(grpc.RpcError):
            stranger.call("ModelInfer", infer_request())
        with pytest.raises(grpc.RpcError):
            caller.call("ModelInfer", infer_request('no "such"\n model'))
        lines = proxy.audited(5)
    assert [set(line) for line in lines] == [FIELDS] * 5
    told = [
        (line["caller"], line["model"], line["protocol"], line["status"], line["grpcStatus"], line["reason"])
        for line in lines
    ]
    assert told == [
        ("robot", "linear_regression", "http", 200, "-", "-"),
        ("robot", "linear_regression", "grpc", 200, "-", "-"),
        ("-", "-", "http", 401, "-", "NoCredentials"),
        ("-", "-", "grpc", 200, "16", "NoCredentials"),
        ("robot", 'no "such"\n model', "grpc", 200, told[4][4], "-"),
    ]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"])
        assert line["durationMs"] >= 0
        assert line["requestBytes"] > 50
        assert line["responseBytes"] > 50


@pytest.mark.parametrize(("audit", "statuses"), [(Audit.ALL, [200, 401, 401]), (Audit.REFUSED, [401, 401])])
def test_only_selected_requests_are_logged(
    start: Callable[[Audit], Any], authority: Authority, audit: Audit, statuses: list[int]
) -> None:
    with start(audit) as proxy:
        caller, stranger = clients(proxy, authority)
        assert caller.infer().status == 200
        assert stranger.infer().status == 401
        assert stranger.infer().status == 401
        assert [line["status"] for line in proxy.audited(len(statuses))] == statuses


def test_nothing_is_logged_if_the_log_is_off(start: Callable[[Audit], Any], authority: Authority) -> None:
    with start(Audit.OFF) as proxy:
        caller, stranger = clients(proxy, authority)
        assert (caller.infer().status, stranger.infer().status) == (200, 401)
        proxy.stop()
        assert [line for line in proxy.lines if "proxy" not in line] == []


def test_a_line_contains_nothing_that_was_sent(start: Callable[[Audit], Any], authority: Authority) -> None:
    """A word in each part of requests that are admitted, refused and malformed."""
    canary = "canary-5d7f"
    with start(Audit.ALL) as proxy:
        caller, stranger = clients(proxy, authority)
        for client in (caller, stranger, Client(proxy.https, authority.pem, token=canary)):
            headers = {"X-Secret": canary, "Cookie": canary, "User-Agent": canary, "Accept": canary}
            client.request("GET", f"/v2/health/live?key={canary}", headers=headers)
            client.request("POST", f"/v2/logging?{canary}", canary, headers)
            client.request("POST", "/v2/models/linear_regression/infer", json.dumps({**LINEAR, "id": canary}), headers)
            client.raw(
                f"GET /{canary} HTTP/1.1\r\nHost: {canary}\r\n{canary}: {canary}\r\n\r\n".encode() * 2, until_quiet=True
            )
            client.raw(f"{canary} {canary}\r\n\r\n".encode(), until_quiet=True)
        proxy.audited(12)
        proxy.stop()
        text = json.dumps(proxy.lines)
    assert canary not in text
    assert SIGNER.token().split(".")[0] not in text
    texts = [line["text"] for line in proxy.lines if "text" in line]
    assert [text for text in texts if not text.startswith("Proxy https stopped")] == [], "other lines are JSON"
