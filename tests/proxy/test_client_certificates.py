"""The SDK and `tritonctl` with client certificates, through the real proxy to a real Triton, over both protocols."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from cryptography import x509

from tests.proxy.certificates import Authority, Pair
from tests.proxy.running_proxy import Proxy, running_proxy, wait_until
from tests.tritonctl import tritonctl
from triton_operator.local.ports import Ports
from triton_operator.sdk import AsyncClient, Client, InvalidRequestError, Protocol, RejectedError, UnreachableError
from triton_operator.triton.proxy_contract.policy import Caller, CertificateRule, ProxyPolicy

NAME, MODEL = "linear.models.svc", "linear_regression"
ROW = np.array([[1, 2]], np.float32)
CLIENTS = Authority("clients")
POLICY = ProxyPolicy(
    callers=(
        Caller("trainer", certificate=CertificateRule(subject="CN=trainer")),
        Caller("viewer", certificate=CertificateRule(subject="CN=viewer"), models=("digits",)),
    ),
    client_cas=CLIENTS.pem.decode(),
)
EXPIRED = timedelta(hours=-1)

each_protocol = pytest.mark.parametrize("protocol", list(Protocol))


class Files(NamedTuple):
    """The files of a client."""

    cert: Path
    key: Path
    ca: Path

    def write(self, pair: Pair) -> None:
        """Replace the certificate and its key."""
        self.cert.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)

    @property
    def pair(self) -> tuple[Path, Path]:
        """The argument of the clients."""
        return self.cert, self.key


@pytest.fixture(scope="module")
def proxy(triton: Ports, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with two callers that have certificates."""
    folder = tmp_path_factory.mktemp("proxy")
    pair = authority.issue(names=[x509.DNSName(NAME)])
    with running_proxy(folder / "pod", triton, POLICY, pair) as proxy:
        yield proxy


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    """Those of the caller `trainer`."""
    found = Files(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt")
    found.ca.write_bytes(authority.pem)
    found.write(CLIENTS.issue("trainer", []))
    return found


def options(proxy: Proxy, files: Files, protocol: Protocol) -> dict[str, Any]:
    """The arguments of a client without its certificate."""
    url = f"https://127.0.0.1:{proxy.https}"
    return {"protocol": protocol, "url": url, "ca_file": files.ca, "server_name": NAME, "timeout": 20}


def infer(proxy: Proxy, files: Files, protocol: Protocol, cert: Any) -> None:
    """Send one request with a client of its own."""
    with Client("linear", **options(proxy, files, protocol), cert=cert) as client:
        assert client.infer(MODEL, ROW).output.shape == (1, 1)


@each_protocol
def test_a_certificate_identifies_the_caller(proxy: Proxy, files: Files, protocol: Protocol) -> None:
    """In two files or in one; the audit log has its name."""
    seen = len(proxy.lines)
    infer(proxy, files, protocol, files.pair)
    both = files.cert.with_name("both.pem")
    both.write_bytes(files.cert.read_bytes() + files.key.read_bytes())
    infer(proxy, files, protocol, str(both))
    wait_until(lambda: sum(line.get("caller") == "trainer" for line in proxy.lines[seen:]) >= 2)


@each_protocol
def test_an_asyncio_client_sends_it_too(proxy: Proxy, files: Files, protocol: Protocol) -> None:
    async def send() -> None:
        async with AsyncClient("linear", **options(proxy, files, protocol), cert=files.pair) as client:
            assert (await client.infer(MODEL, ROW)).output.shape == (1, 1)

    asyncio.run(send())


@each_protocol
def test_without_it_the_request_is_refused(proxy: Proxy, files: Files, protocol: Protocol) -> None:
    """So is the certificate of another caller for another model, and that of nobody."""
    with pytest.raises(RejectedError, match=r"or cert \(--cert\) for a caller with a certificate"):
        infer(proxy, files, protocol, "")
    for name in ("viewer", "nobody"):
        files.write(CLIENTS.issue(name, []))
        with pytest.raises(RejectedError, match=r"spec\.privacy\.clients lists what each caller may use"):
            infer(proxy, files, protocol, files.pair)


@each_protocol
@pytest.mark.parametrize(
    ("issuer", "life"),
    [(CLIENTS, EXPIRED), (Authority("clients"), timedelta(hours=1)), (Authority("others"), timedelta(hours=1))],
)
def test_a_certificate_that_the_proxy_cannot_verify_is_explained(
    issuer: Authority, life: timedelta, proxy: Proxy, files: Files, protocol: Protocol
) -> None:
    """Expired, of an authority with the same name, and of one with another name."""
    files.write(issuer.issue("trainer", [], life=life))
    with pytest.raises(
        UnreachableError, match=r"client certificate, or reject the one|rejected the client certificate"
    ):
        infer(proxy, files, protocol, files.pair)


@each_protocol
def test_a_running_client_uses_replaced_files(proxy: Proxy, files: Files, protocol: Protocol) -> None:
    """Also if it has read only one of the new files before."""
    files.write(CLIENTS.issue("viewer", []))
    with Client("linear", **options(proxy, files, protocol), cert=files.pair) as client:
        with pytest.raises(RejectedError):
            client.infer(MODEL, ROW)
        new = CLIENTS.issue("trainer", [])
        files.cert.write_bytes(new.certificate)
        with pytest.raises(RejectedError):
            client.infer(MODEL, ROW)
        files.key.write_bytes(new.key)
        assert client.infer(MODEL, ROW).output.shape == (1, 1)


@each_protocol
def test_tritonctl_sends_it(
    proxy: Proxy, files: Files, protocol: Protocol, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`infer` and `explain` use the SDK; `bench` speaks both protocols itself."""
    request = tmp_path / "request.json"
    request.write_text(json.dumps(ROW.tolist()))
    url = ("--url", f"https://127.0.0.1:{proxy.https}", "--ca-file", files.ca, "--server-name", NAME, "-p", protocol)
    cert = ("--cert", files.cert, "--key", files.key)
    for command in (
        ("infer", MODEL, "-i", request),
        ("explain", MODEL, "-i", request, "--samples", 8),
        ("bench", MODEL, "-i", request, "--duration", 0.5, "--warm-up", 0.2, "-c", 2),
    ):
        outcome = tritonctl(capsys, *command, *url, *cert, "-o", "json")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)
        refused = tritonctl(capsys, *command, *url, "-o", "json")
        assert refused.code == 1
        assert "or cert (--cert) for a caller with a certificate" in refused.err


def test_files_that_do_not_belong_together_are_refused_before_a_request(proxy: Proxy, files: Files) -> None:
    other = replace(CLIENTS.issue("trainer", []), certificate=files.cert.read_bytes())
    files.write(other)
    with pytest.raises(InvalidRequestError, match=r"cert: .* no certificate in PEM form with its key") as error:
        infer(proxy, files, Protocol.HTTP, files.pair)
    assert error.value.field == "cert"
