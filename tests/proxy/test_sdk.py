"""The SDK and `tritonctl` through the real proxy to a real Triton, over both protocols."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509

from tests.proxy.certificates import Authority
from tests.proxy.running_proxy import Proxy, running_proxy
from tests.tritonctl import tritonctl
from triton_operator.local.ports import Ports
from triton_operator.sdk import Client, Protocol, UnreachableError
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

NAME = "digits.models.svc"
BLANK = {"INPUT__0": np.zeros((3, 1, 28, 28), np.float32)}


@pytest.fixture
def own(triton: Ports, authority: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy with a certificate for the Service's name."""
    pair = authority.issue(names=[x509.DNSName(NAME)])
    with running_proxy(tmp_path / "pod", triton, ProxyPolicy(), pair) as proxy:
        yield proxy


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    """The authority of that certificate."""
    file = tmp_path / "ca.crt"
    file.write_bytes(authority.pem)
    return file


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_client_sends_requests_through_the_proxy(own: Proxy, ca_file: Path, protocol: Protocol) -> None:
    """Metadata and inference are open, and the configuration is closed, so the batch size is not known."""
    url = f"https://127.0.0.1:{own.https}"
    with Client("digits", protocol=protocol, url=url, ca_file=ca_file, server_name=NAME) as client:
        assert client.is_ready("digits")
        assert client.infer("digits", BLANK).output.shape == (3, 10)
        interface = client.interface("digits")
        assert (interface.inputs[0].shape, interface.max_batch_size) == ((-1, 1, 28, 28), None)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_client_that_trusts_another_authority_sends_nothing(
    own: Proxy, ca_file: Path, tmp_path: Path, protocol: Protocol
) -> None:
    """Nor one that expects another name, nor one that uses plain HTTP or gRPC."""
    other = tmp_path / "other.crt"
    other.write_bytes(Authority("another authority").pem)
    url = f"https://127.0.0.1:{own.https}"
    for address, bundle, name, sentence in (
        (url, other, NAME, "not signed by a trusted authority"),
        (url, ca_file, "words.models.svc", "its certificate is not for words.models.svc"),
        (f"127.0.0.1:{own.https}", "", "", "does not answer"),
    ):
        with (
            pytest.raises(UnreachableError, match=sentence),
            Client("d", protocol=protocol, url=address, ca_file=bundle, server_name=name, timeout=10) as client,
        ):
            client.infer("digits", BLANK)
    assert not [line for line in own.lines if line.get("status") == 200]
    with Client("digits", protocol=protocol, url=url, ca_file=ca_file, server_name=NAME) as client:
        client.infer("digits", BLANK)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_client_follows_a_new_authority(own: Proxy, ca_file: Path, protocol: Protocol) -> None:
    """It opened before the change of the authority; its file is replaced, as in a mounted ConfigMap."""
    after = Authority("another authority")
    url = f"https://127.0.0.1:{own.https}"
    with Client("digits", protocol=protocol, url=url, ca_file=ca_file, server_name=NAME) as client:
        own.set_certificate(after.issue(names=[x509.DNSName(NAME)]))
        own.wait_for("reloaded")
        ca_file.write_bytes(after.pem)
        assert client.infer("digits", BLANK).output.shape == (3, 10)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_bench_and_infer_send_requests_through_the_proxy(
    own: Proxy, ca_file: Path, tmp_path: Path, protocol: Protocol, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bench` speaks both protocols itself."""
    url = ("--url", f"https://127.0.0.1:{own.https}", "--ca-file", ca_file, "--server-name", NAME, "-p", protocol)
    quick = ("--duration", 1, "--warm-up", 0.2, "-c", 4)
    outcome = tritonctl(capsys, "bench", "digits", *url, *quick, "-o", "json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["failed"] == 0
    assert found["requests"] > 0
    request = tmp_path / "request.json"
    request.write_text(json.dumps(np.zeros((1, 1, 28, 28)).tolist()))
    outcome = tritonctl(capsys, "infer", "digits", "-i", request, *url, "-o", "json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["model_name"] == "digits"
