"""Nothing that clients send is kept: no output and no file contains it after 1,000 requests."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path

import grpc
import pytest

from tests.proxy.certificates import Authority
from tests.proxy.clients import Client, infer_request
from tests.proxy.running_proxy import Proxy, running_proxy
from tests.proxy.tokens import AUDIENCE, Signer
from triton_operator.local.ports import Ports
from triton_operator.triton.proxy_contract.policy import Caller, Claim, Issuer, ProxyPolicy, TokenRule

REQUESTS = 1000
WORD = "canary-7c1e5b"
NUMBER = 4711.0625
SIGNER = Signer()
PATH = "/v2/models/linear_regression/infer"
HEADERS = {"X-Canary": WORD, "Cookie": WORD, "User-Agent": WORD, "Accept": WORD, "Forwarded": f"for={WORD}"}
BODY = json.dumps(
    {
        "id": WORD,
        "parameters": {"note": WORD},
        "inputs": [{"name": "INPUT__0", "datatype": "FP32", "shape": [1, 2], "data": [NUMBER, NUMBER]}],
    }
)


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
        client = Client(proxy.https, authority.pem, token=token)
        send_over_http(client, REQUESTS // 8)
        send_over_grpc(client, REQUESTS // 8)
        client.raw(f"GET /v2/{WORD} HTTP/1.1\r\n{WORD}: {WORD}\r\nHost: {WORD}\r\n{WORD}\r\n\r\n".encode())
        client.raw(f"{WORD} {WORD}\r\n\r\n".encode())
    lines = proxy.audited(REQUESTS)
    admitted = [line for line in lines if line.get("caller") == "robot"]
    assert len(admitted) == REQUESTS // 4, "the requests are in the log"
    assert {(line["model"], line["status"]) for line in admitted} == {("linear_regression", 200)}
    searched = {"output of the proxy": json.dumps(proxy.lines), "output of Triton": "\n".join(triton_output)}
    searched |= files(proxy.folder / "work") | {"termination log": text_of(proxy.termination_log)}
    for place, text in searched.items():
        for form in forms([*tokens, WORD]):
            assert form not in text, place
    assert any(place.endswith("haproxy.cfg") for place in searched)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    for number, form in enumerate(forms([WORD])):
        (tmp_path / f"{number}.log").write_bytes(f"before {form} after".encode("latin-1"))
    assert all(any(form in text for text in files(tmp_path).values()) for form in forms([WORD]))


def send_over_http(client: Client, count: int) -> None:
    """Inference with the word in each part of the request, on one connection."""
    headers = {**HEADERS, "Authorization": f"Bearer {client.token}"}
    connection = HTTPSConnection("localhost", client.port, timeout=30, context=client.context())
    for _ in range(count):
        connection.request("POST", f"{PATH}?{WORD}={WORD}", BODY, headers)
        connection.getresponse().read()
    connection.close()


def send_over_grpc(client: Client, count: int) -> None:
    """Inference with the word in the message and its metadata, on one channel."""
    request = infer_request()
    request.id = WORD
    request.parameters["note"].string_param = WORD
    request.inputs[0].contents.fp32_contents[:] = [NUMBER, NUMBER]
    metadata = [*client.metadata(), ("x-canary", WORD), ("x-canary-bin", WORD.encode())]
    with client.grpc() as stub:
        for _ in range(count):
            with suppress(grpc.RpcError):
                stub.ModelInfer(request, metadata=metadata, timeout=20)


def forms(words: list[str]) -> list[str]:
    """The words and the number as a log, a dump or an encoder would write them; of a token, each part."""
    parts = [part for word in words for part in word.split(".") if len(part) > 10]
    number = struct.pack("<f", NUMBER)
    encoded = [base64.b64encode(WORD.encode()).decode().rstrip("="), WORD.encode().hex(), WORD.encode().hex().upper()]
    return [*parts, *encoded, str(NUMBER), number.hex() * 2, (number * 2).decode("latin-1")]


def files(folder: Path) -> dict[str, str]:
    """The content of all files."""
    return {str(path): text_of(path) for path in folder.rglob("*") if path.is_file()}


def text_of(path: Path) -> str:
    """The bytes of a file as characters; "" if there is none."""
    return path.read_bytes().decode("latin-1") if path.exists() else ""
