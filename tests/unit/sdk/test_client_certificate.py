"""Files with client certificates are checked before anything is sent, and are never used without TLS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.proxy.certificates import Authority
from tests.tritonctl import tritonctl
from triton_operator.sdk import Client, InvalidRequestError
from triton_operator.sdk.client_certificate import names_of_files, read_client_certificate


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key."""
    pair = Authority().issue("shop", [])
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return cert, key


def test_the_argument_is_one_file_or_two() -> None:
    assert names_of_files("") == names_of_files(()) == ()
    assert names_of_files("both.pem") == names_of_files(("both.pem", "")) == ("both.pem", "both.pem")
    assert names_of_files((Path("tls.crt"), "tls.key")) == ("tls.crt", "tls.key")


def test_a_certificate_never_shows_its_key(files: tuple[Path, Path]) -> None:
    found = read_client_certificate(*map(str, files))
    assert "BEGIN PRIVATE KEY" in found.key
    assert "BEGIN" not in repr(found)


def test_a_file_that_is_replaced_is_noticed_and_a_missing_one_is_not_used(files: tuple[Path, Path]) -> None:
    found = read_client_certificate(*map(str, files))
    assert not found.is_replaced()
    files[0].unlink()
    assert not found.is_replaced()
    files[0].write_text(found.certificate)
    os.utime(files[0], ns=(0, 0))
    assert found.is_replaced()
    assert read_client_certificate(*map(str, files)) == found


@pytest.mark.parametrize("broken", ["missing", "of another certificate", "with a passphrase", "empty", "binary"])
def test_a_key_that_cannot_be_used_is_refused(broken: str, files: tuple[Path, Path]) -> None:
    """Without a question on the terminal."""
    cert, key = files
    private = load_pem_private_key(key.read_bytes(), None)
    contents = {
        "of another certificate": Authority().issue().key,
        "with a passphrase": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "empty": b"",
        "binary": b"\xff\x00",
    }
    if broken == "missing":
        key.unlink()
    else:
        key.write_bytes(contents[broken])
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    with pytest.raises(InvalidRequestError, match=r"tls\.key") as error:
        read_client_certificate(str(cert), str(key))
    assert error.value.field == "cert"


def test_a_certificate_is_never_sent_without_tls(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to a plain address nor to a deployment without TLS."""
    with pytest.raises(InvalidRequestError, match="http:// has no TLS, for which cert was given"):
        Client("digits", url="http://127.0.0.1:1", cert=files).__enter__()
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        cluster.answer({"metadata": {"name": "digits", "namespace": NAMESPACE}})
        with pytest.raises(InvalidRequestError, match="digits has no TLS, without which no certificate can be sent"):
            Client("digits", cert=files).__enter__()
        assert cluster.calls == []


def test_tritonctl_requires_the_certificate_of_a_key(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = tritonctl(capsys, "infer", "digits", "--url", "https://127.0.0.1:1", "--text", "x", "--key", files[1])
    assert outcome.code == 2
    assert "--key requires --cert" in outcome.err
