"""Fetch models through a real forward proxy, over HTTP and HTTPS, and with a private authority."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hack.cluster.pki import CertificateSubject, ClusterAuthority
from tests.archives import a_zip
from tests.downloads import fetched, refused
from tests.forward_proxy import PASSWORD, ForwardProxy, write_secret
from tests.s3_server import BUCKET, S3
from tests.web_server import Answer, Web, web_server
from triton_operator.api.conditions import Reason
from triton_operator.api.repository import HttpSource
from triton_operator.triton.prepare_contract.request import Download, FetchProxy

MODELS = Path(__file__).parents[2] / "model_repository"
DIGITS = {f"digits/{name}": (MODELS / "digits" / name).read_bytes() for name in ("config.pbtxt", "1/model.pt")}


@pytest.fixture
def web_tls(authority: ClusterAuthority, tmp_path: Path) -> Iterator[Web]:
    """A web server over TLS with an archive."""
    authority.issue("web", CertificateSubject("web", addresses=["127.0.0.1"]))
    with web_server({"/models.zip": a_zip(*DIGITS.items())}, authority.folder / "web.crt") as web:
        yield web


def from_web(web: Web, folder: Path, scheme: str = "https", ca_bundle: str = "") -> Download:
    """The archive of a web server."""
    folder.mkdir()
    source = HttpSource(f"{scheme}://127.0.0.1:{web.port}/models.zip")
    return Download(str(folder), http=source, ca_bundle=ca_bundle)


def test_an_archive_over_https(web_tls: Web, proxy: ForwardProxy, tmp_path: Path, authority: ClusterAuthority) -> None:
    """Without the authority, the certificate is not trusted, although the proxy connected to the server."""
    tunnel, before = f"CONNECT 127.0.0.1:{web_tls.port}", len(proxy.requests)
    error = refused(from_web(web_tls, tmp_path / "untrusted"), proxy.request())
    assert error.reason == Reason.SOURCE_UNTRUSTED
    assert f"(through the proxy {proxy.url}): the server's certificate is not trusted" in str(error)
    assert "set caBundleConfigMapRef" in str(error)
    trusting = from_web(web_tls, tmp_path / "source", ca_bundle=str(authority.certificate))
    assert fetched(trusting, proxy.request()) == DIGITS
    assert set(proxy.requests[before:]) == {tunnel}
    passed = len(proxy.requests)
    direct = msgspec.structs.replace(trusting, target=str(tmp_path / "direct"))
    (tmp_path / "direct").mkdir()
    assert fetched(direct, proxy.request("127.0.0.0/8")) == DIGITS
    assert len(proxy.requests) == passed
    assert not any("proxy-authorization" in request.headers for request in web_tls.requests)


def test_an_archive_over_http(proxy: ForwardProxy, tmp_path: Path) -> None:
    with web_server({"/models.zip": a_zip(*DIGITS.items())}) as web:
        assert fetched(from_web(web, tmp_path / "source", "http"), proxy.request()) == DIGITS
        assert f"GET http://127.0.0.1:{web.port}/models.zip" in proxy.requests
        assert not any("proxy-authorization" in request.headers for request in web.requests)


def test_a_bucket(s3: S3, s3_tls: S3, proxy: ForwardProxy, tmp_path: Path, authority: ClusterAuthority) -> None:
    secret = s3.secret(tmp_path / "secret")
    plain = s3.download(tmp_path / "plain", "digits", credentials=secret)
    assert fetched(plain, proxy.request()) == DIGITS
    assert f"GET {s3.endpoint}/{BUCKET}/digits/config.pbtxt" in proxy.requests
    tls = s3_tls.download(tmp_path / "tls", "digits", credentials=secret)
    error = refused(tls, proxy.request())
    assert (error.reason, f"(through the proxy {proxy.url})" in str(error)) == (Reason.SOURCE_UNTRUSTED, True)
    assert fetched(msgspec.structs.replace(tls, ca_bundle=str(authority.certificate)), proxy.request()) == DIGITS
    assert f"CONNECT {s3_tls.endpoint.removeprefix('https://')}" in proxy.requests
    passed = len(proxy.requests)
    direct = s3.download(tmp_path / "direct", "digits", credentials=secret)
    assert fetched(direct, proxy.request("127.0.0.1")) == DIGITS
    assert len(proxy.requests) == passed


def test_a_redirect_to_a_server_that_is_reached_directly(proxy: ForwardProxy, tmp_path: Path) -> None:
    """The password of the proxy stays with the proxy."""
    with web_server({"/models.zip": a_zip(*DIGITS.items())}) as other, web_server() as first:
        target = f"http://localhost:{other.port}/models.zip"
        first.answer = lambda request: Answer(302, headers={"Location": target})
        assert fetched(from_web(first, tmp_path / "source", "http"), proxy.request("localhost")) == DIGITS
        assert f"GET http://127.0.0.1:{first.port}/models.zip" in proxy.requests
        assert not any("localhost" in request for request in proxy.requests)
        assert other.requests
        assert not any("proxy-authorization" in request.headers for request in other.requests)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_denies_access(proxy: ForwardProxy, tmp_path: Path, scheme: str) -> None:
    with web_server() as web:
        missing = refused(from_web(web, tmp_path / "missing", scheme), proxy.request(credentials=""))
        wrong_secret = str(write_secret(tmp_path / "secret", "not-the-Pa55word"))
        wrong = refused(from_web(web, tmp_path / "wrong", scheme), proxy.request(credentials=wrong_secret))
    assert (missing.reason, wrong.reason) == (Reason.ACCESS_DENIED, Reason.ACCESS_DENIED)
    answer = f"(through the proxy {proxy.url}): the proxy answered 40"
    assert answer in str(missing)
    assert "the proxy requires credentials; set prepare.httpProxy.credentialsSecretRef" in str(missing)
    # tinyproxy responds to a wrong password with 401, which an http:// client cannot distinguish from the server's.
    assert ("the server answered 401" if scheme == "http" else answer) in str(wrong)
    assert "not-the-Pa55word" not in str(wrong)


def test_a_bucket_behind_a_proxy_that_denies_access(s3: S3, s3_tls: S3, proxy: ForwardProxy, tmp_path: Path) -> None:
    error = refused(s3.download(tmp_path / "plain", "digits"), proxy.request(credentials=""))
    assert error.reason == Reason.ACCESS_DENIED
    assert "the proxy answered 407 Proxy Authentication Required; the proxy requires credentials" in str(error)
    error = refused(s3_tls.download(tmp_path / "tls", "digits"), proxy.request(credentials=""))
    assert error.reason == Reason.SOURCE_UNREACHABLE
    assert "the proxy did not connect to the server; check whether it requires credentials" in str(error)


def test_a_proxy_that_is_not_there(s3: S3, proxy: ForwardProxy, tmp_path: Path) -> None:
    """Neither message contains the password."""
    absent = FetchProxy("http://127.0.0.1:1", credentials=str(proxy.secret))
    with web_server() as web:
        errors = [refused(from_web(web, tmp_path / "web"), absent), refused(s3.download(tmp_path / "s3", "a"), absent)]
    for error in errors:
        assert error.reason == Reason.SOURCE_UNREACHABLE
        assert "(through the proxy http://127.0.0.1:1): " in str(error)
        assert "refused" in str(error)
        assert PASSWORD not in str(error)
