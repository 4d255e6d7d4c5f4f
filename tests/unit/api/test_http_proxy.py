"""Which servers are reached without the proxy."""

from __future__ import annotations

import pytest

from triton_operator.api.http_proxy import is_direct

DIRECT = [
    ("https://minio.models.svc:9000", ".svc"),
    ("https://minio.models.svc:9000", "svc"),
    ("https://S3.Example.com", "s3.EXAMPLE.com"),
    ("https://10.1.2.3/a.tar", "10.0.0.0/8"),
    ("https://10.1.2.3/a.tar", "10.1.2.3"),
    ("https://[fd00::1]:9000", "fd00::/8"),
    ("https://example.com", "*"),
]
PROXIED = [
    ("https://s3.amazonaws.com", ".svc"),
    ("https://notexample.com", "example.com"),
    ("https://example.com.evil.org", "example.com"),
    ("https://11.1.2.3/a.tar", "10.0.0.0/8"),
    ("https://10.example.com", "10.0.0.0/8"),
    ("https://[fd00::1", "fd00::/8"),
    ("https://example.com", "."),
]


@pytest.mark.parametrize(("url", "entry"), DIRECT)
def test_a_listed_server_is_reached_directly(url: str, entry: str) -> None:
    assert is_direct(url, ["unrelated.example", entry])


@pytest.mark.parametrize(("url", "entry"), PROXIED)
def test_another_server_is_reached_through_the_proxy(url: str, entry: str) -> None:
    assert not is_direct(url, [entry])


def test_the_credentials_of_a_cloud_never_pass_through_a_proxy() -> None:
    assert is_direct("http://169.254.170.23/v1/credentials", [])
