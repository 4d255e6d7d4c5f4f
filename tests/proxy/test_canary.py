"""Nothing that clients send is kept: no output and no file contains it after 1,000 requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.canary import WORD, forms, number_forms, send_canaries, text_of, token_forms
from tests.proxy.certificates import Authority
from tests.proxy.clients import Client
from tests.proxy.running_proxy import Proxy, running_proxy
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import Caller, Claim, Issuer, ProxyPolicy, TokenRule

REQUESTS = 1000
SIGNER = Signer()


@pytest.fixture(scope="module")
def proxy(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that admits one caller."""
    rule = TokenRule("issuer", (AUDIENCE,), (Claim("sub", "robot"),))
    policy = ProxyPolicy(callers=(Caller("robot", token=rule),), issuers=(Issuer("issuer", (SIGNER.public(),)),))
    folder = tmp_path_factory.mktemp("canary")
    with running_proxy(folder / "pod", triton, policy, authority.issue()) as proxy:
        yield proxy


def test_nothing_that_clients_send_is_kept(proxy: Proxy, authority: Authority, triton_output: list[str]) -> None:
    tokens = [
        SIGNER.token(sub="robot", note=WORD),
        SIGNER.token(sub=WORD),
        SIGNER.token(sub="robot", note=WORD, exp=1),
        WORD,
    ]
    for token in tokens:
        send_canaries(Client(proxy.https, authority.pem, token=token), REQUESTS // 4)
    lines = proxy.audited(REQUESTS)
    admitted = [line for line in lines if line.get("caller") == "robot"]
    assert len(admitted) == REQUESTS // 4, "the requests are in the log"
    assert {(line["model"], line["status"]) for line in admitted} == {("linear_regression", 200)}
    searched = {"output of the proxy": json.dumps(proxy.lines), "output of Triton": "\n".join(triton_output)}
    searched |= files(proxy.folder / "work") | {"termination log": text_of(proxy.termination_log)}
    sought = [*forms(), *number_forms(), *(form for token in tokens for form in token_forms(token))]
    for place, text in searched.items():
        assert [form for form in sought if form in text] == [], place
    assert any(place.endswith("haproxy.cfg") for place in searched)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    sought = [*forms(), *number_forms()]
    for number, form in enumerate(sought):
        (tmp_path / f"{number}.log").write_bytes(f"before {form} after".encode("latin-1"))
    assert all(any(form in text for text in files(tmp_path).values()) for form in sought)


@pytest.mark.parametrize("before", ["", "x", "xx", "xxx"])
def test_the_search_finds_a_word_within_base64(before: str) -> None:
    encoded = base64.b64encode(f"{before}{WORD} after".encode()).decode()
    assert any(form in encoded for form in forms())


def files(folder: Path) -> dict[str, str]:
    """The content of all files."""
    return {str(path): text_of(path) for path in folder.rglob("*") if path.is_file()}
