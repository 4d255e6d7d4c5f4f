"""A real S3 server for the session, over plain HTTP and over TLS with a private authority.

`s3`      a server with the digits model below two prefixes
`s3_tls`  the same server over TLS; `authority` signed its certificate
`proxy`   a forward proxy, which requires a password
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.pki import CertificateSubject, ClusterAuthority
from tests.forward_proxy import ForwardProxy, forward_proxy, provide_proxy
from tests.programs import build_before_tests
from tests.s3_server import S3, s3_server
from triton_operator.prepare.fetch import retry_budget as patience

MODELS = Path(__file__).parents[2] / "model_repository"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the server and download the proxy if they are missing."""
    build_before_tests(session, Path(__file__).parent, "versitygw", others=[provide_proxy])


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3_server(tmp_path_factory.mktemp("s3") / "data") as server:
        _fill(server)
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> ClusterAuthority:
    """Create a private authority."""
    return ClusterAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def s3_tls(tmp_path_factory: pytest.TempPathFactory, authority: ClusterAuthority) -> Iterator[S3]:
    authority.issue("s3", CertificateSubject("s3", addresses=["127.0.0.1"]))
    with s3_server(tmp_path_factory.mktemp("s3-tls") / "data", authority.folder / "s3.crt") as server:
        _fill(server)
        yield server


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForwardProxy]:
    with forward_proxy(tmp_path_factory.mktemp("proxy")) as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeout of an outage, which is 30 seconds by default."""
    monkeypatch.setattr(patience, "WITHOUT_PROGRESS_SECONDS", 0.5)


def _fill(server: S3) -> None:
    for prefix in ("", "team-a/models/"):
        for model in ("digits", "linear_regression"):
            for name in ("config.pbtxt", "1/model.pt"):
                server.put(f"{prefix}{model}/{name}", MODELS / model / name)
