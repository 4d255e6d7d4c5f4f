"""The configuration of HAProxy as text: what a policy changes in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lupa.lua53 import LuaRuntime

from triton_operator.api.names import MODEL_NAME_PATTERN
from triton_operator.api.spec import Endpoint
from triton_operator.proxy.haproxy_config import CONFIGURATION, render
from triton_operator.proxy.placement import Placement
from triton_operator.proxy.refusals import REFUSALS, response_files
from triton_operator.proxy.routes import MODEL
from triton_operator.triton.proxy_contract.policy import Limits, ProxyPolicy

PLACEMENT = Placement(folder=Path("/run/x"))


def lines(policy: ProxyPolicy) -> list[str]:
    return [line.strip() for line in render(policy, PLACEMENT).text.splitlines()]


def test_clients_need_tls_and_the_kubelet_does_not() -> None:
    binds = [line for line in lines(ProxyPolicy()) if line.startswith("bind ")]
    assert binds == [
        "bind *:8443 thread 1-1 ssl crt /run/x/serving.pem alpn h2,http/1.1",
        "bind *:8003 thread 1-1",
    ]
    assert any("ssl-min-ver TLSv1.3" in line for line in lines(ProxyPolicy()))


@pytest.mark.parametrize(
    ("opened", "added"),
    [
        ((), set()),
        ((Endpoint.MODEL_CONFIG,), {"ModelConfig"}),
        ((Endpoint.STATISTICS,), {"ModelStatistics"}),
        ((Endpoint.STATISTICS, Endpoint.MODEL_CONFIG), {"ModelConfig", "ModelStatistics"}),
    ],
    ids=["none", "config", "statistics", "both"],
)
def test_only_opened_groups_are_listed(opened: tuple[Endpoint, ...], added: set[str]) -> None:
    def methods(policy: ProxyPolicy) -> set[str]:
        (listed,) = [line for line in lines(policy) if line.startswith("acl listed_method ")]
        return {word.rpartition("/")[2] for word in listed.split()[5:]}

    assert methods(ProxyPolicy(open_endpoints=opened)) - methods(ProxyPolicy()) == added


def test_the_limit_of_a_body_is_that_of_the_policy() -> None:
    text = render(ProxyPolicy(limits=Limits(max_body_bytes=12345)), PLACEMENT).text
    assert "req.hdr(content-length),add(0) gt 12345" in text


def test_a_model_name_is_what_the_api_accepts() -> None:
    """The same pattern, without a group that PCRE would capture."""
    assert MODEL.replace("?:", "").replace("[.]", r"\.") == MODEL_NAME_PATTERN.strip("^$")


def test_every_named_file_is_part_of_the_configuration() -> None:
    files = render(ProxyPolicy(), PLACEMENT).files
    named = {word.rpartition("/")[2] for word in files[CONFIGURATION].split() if word.startswith("/run/x/")}
    assert "serving.pem" in named
    assert named <= {*files, "serving.pem"}


def test_responses_are_complete_for_both_protocols() -> None:
    """HAProxy 2.6 runs Lua 5.3."""
    files = response_files()
    lua = LuaRuntime()
    lua.execute(files["responses.lua"])
    responses = lua.globals().responses
    for refusal in REFUSALS:
        over_http = responses[f"{refusal.reason}.http"]
        assert over_http.status == refusal.http
        assert json.loads(over_http.body) == {"error": refusal.message}
        assert headers(over_http)["content-length"] == str(len(over_http.body))
        over_grpc = responses[f"{refusal.reason}.grpc"]
        assert (over_grpc.status, over_grpc.body) == (200, "")
        assert headers(over_grpc)["grpc-status"] == str(refusal.grpc.value)
        assert headers(over_grpc)["grpc-message"] == refusal.message
        assert f"grpc-message: {refusal.message}\r\n" in files[f"{refusal.reason}.grpc"]


def headers(response: Any) -> dict[str, str]:
    return {pair[1]: pair[2] for pair in response.headers.values()}
