"""`tritonctl privacy --url`: the certificate that a server presents, verified as clients verify it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.fake_cluster import FakeCluster
from tests.privacy_reports import a_bundle, a_private_body
from tests.tls_relay import tls_relay
from tests.tritonctl import tritonctl

NAME = "digits.shop.svc"
PLAIN = "127.0.0.1:1"
"""Where no server is."""
TLS = {"https": f"https://{NAME}:8443", "caBundleRef": {"name": "triton-operator-ca", "key": "ca.crt"}}


@pytest.fixture
def authority(cluster: FakeCluster) -> Authority:
    """The authority of a deployment with TLS."""
    authority = Authority("operator")
    cluster.answer(a_private_body(status={"endpoints": TLS}))
    cluster.put("configmaps", a_bundle(authority.pem))
    return authority


@pytest.fixture
def behind() -> Iterator[str]:
    """The address of the server behind TLS, which receives no request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        yield f"{host}:{port}"


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    outcome = tritonctl(capsys, "privacy", "digits", "-n", "shop", "-o", "json", *arguments)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def presented(found: Any) -> list[dict[str, str]]:
    """Facts about the certificates of servers."""
    (tls,) = (each for each in found["controls"] if each["name"] == "TLS")
    return [each["facts"] for each in tls["evidence"] if each["subject"].startswith("certificate presented by")]


def unread(found: Any) -> str:
    """Why the certificate is missing."""
    (why,) = (each["why"] for each in found["notRead"] if "certificate of the server" in each["what"])
    return str(why)


def test_the_certificate_of_the_server_has_its_names_serial_number_and_dates(
    authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path, behind: str
) -> None:
    with tls_relay(authority.issue(tmp_path, [NAME]), behind) as address:
        (facts,) = presented(report(capsys, "--url", address))
        assert presented(report(capsys)) == []
    assert (facts["protocol"], facts["names"], facts["issuer"]) == ("TLSv1.3", NAME, "CN=operator")
    assert facts["serial"]
    assert facts["notBefore"] < facts["notAfter"]


def test_a_certificate_that_clients_would_refuse_is_not_reported(
    authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path, behind: str
) -> None:
    """Of another authority, for another name, or expired."""
    for context, why in (
        (Authority("another").issue(tmp_path, [NAME]), "not signed by a trusted authority"),
        (authority.issue(tmp_path, ["other.shop.svc"]), f"not for {NAME}"),
        (authority.issue(tmp_path, [NAME], days=(-2, -1)), "has expired"),
    ):
        with tls_relay(context, behind) as address:
            found = report(capsys, "--url", address)
        assert presented(found) == []
        assert why in unread(found)


def test_the_authority_can_be_a_file(
    authority: Authority, capsys: pytest.CaptureFixture[str], tmp_path: Path, behind: str
) -> None:
    """For certificates of the user."""
    del authority
    other = Authority("company")
    (tmp_path / "ca.crt").write_text(other.pem)
    with tls_relay(other.issue(tmp_path, [NAME]), behind) as address:
        (facts,) = presented(report(capsys, "--url", address, "--ca-file", tmp_path / "ca.crt"))
    assert facts["issuer"] == "CN=company"


def test_a_server_that_does_not_respond_is_listed(authority: Authority, capsys: pytest.CaptureFixture[str]) -> None:
    del authority
    assert "Connection refused" in unread(report(capsys, "--url", f"https://{PLAIN}/"))
    assert "has no port" in unread(report(capsys, "--url", "127.0.0.1"))


def test_a_deployment_without_tls_has_no_certificate(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.answer(a_private_body())
    assert unread(report(capsys, "--url", PLAIN)) == "the deployment has no TLS"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ca-file", "ca.crt"), "--ca-file has no effect without --url"),
        (("--url", "ftp://x:1"), "only http://, https://"),
        (("--url", "a b:1"), "is not an address"),
        (("--url", PLAIN, "--ca-file", "/missing"), "/missing cannot be read"),
    ],
)
def test_an_invalid_option_is_rejected(
    authority: Authority, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    del authority
    outcome = tritonctl(capsys, "privacy", "digits", "-n", "shop", *arguments)
    assert outcome.code in {2, 3}
    assert outcome.out == ""
    assert says in outcome.err
