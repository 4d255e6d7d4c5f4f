"""Download models from a real S3 server: resumed downloads, and the message of each failure."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from hack.cluster.pki import CertificateSubject, ClusterAuthority
from tests.downloads import fetched, refused
from tests.s3_server import ACCESS_KEY, BUCKET, S3, SECRET_KEY, s3_server
from tests.web_server import Answer, web_server
from triton_operator.api.conditions import Reason
from triton_operator.api.repository import S3Source
from triton_operator.prepare.fetch import parts
from triton_operator.prepare.fetch import retry_budget as patience
from triton_operator.prepare.fetch.journal import Journal
from triton_operator.prepare.fetch.origin import RemoteFile
from triton_operator.prepare.fetch.run import fetch
from triton_operator.triton.prepare_contract.outcome import Prepared, read_prepare
from triton_operator.triton.prepare_contract.request import Download, Preparation, encode

MODELS = Path(__file__).parents[2] / "model_repository"
DIGITS = {f"digits/{name}": (MODELS / "digits" / name).read_bytes() for name in ("config.pbtxt", "1/model.pt")}

IDENTITY = f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>
    <SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture
def secret(s3: S3, tmp_path: Path) -> str:
    """Return credentials that the server accepts."""
    return s3.secret(tmp_path / "secret")


@pytest.mark.parametrize("prefix", ["", "team-a/models"])
def test_only_the_requested_models_are_fetched(s3: S3, tmp_path: Path, secret: str, prefix: str) -> None:
    assert fetched(s3.download(tmp_path / "source", "digits", prefix=prefix, credentials=secret)) == DIGITS


def test_over_tls_with_a_private_authority(
    s3_tls: S3, tmp_path: Path, authority: ClusterAuthority, secret: str
) -> None:
    download = s3_tls.download(tmp_path / "source", "digits", credentials=secret)
    error = refused(download)
    assert error.reason == Reason.SOURCE_UNTRUSTED
    assert "unknown issuer" in str(error)
    assert f"{s3_tls.endpoint}/{BUCKET}: the server's certificate is not trusted" in str(error)
    trusting = msgspec.structs.replace(download, ca_bundle=str(authority.certificate))
    assert fetched(trusting) == DIGITS


def test_wrong_credentials_are_not_shown(s3: S3, tmp_path: Path, secret: str) -> None:
    wrong_key = s3.secret(tmp_path / "wrong-key", access="SOMEBODY")
    error = refused(s3.download(tmp_path / "source", "digits", credentials=wrong_key))
    assert error.reason == Reason.ACCESS_DENIED, str(error)
    assert "; check the Secret of credentialsSecretRef" in str(error)
    assert "SOMEBODY" not in str(error)
    wrong_secret = s3.secret(tmp_path / "wrong-secret", secret="s3cr3t")
    error = refused(s3.download(tmp_path / "source", "digits", credentials=wrong_secret))
    assert (error.reason, "SignatureDoesNotMatch" in str(error)) == (Reason.ACCESS_DENIED, True)
    assert "s3cr3t" not in str(error)
    error = refused(s3.download(tmp_path / "source", "digits"))
    assert (error.reason, "set credentialsSecretRef" in str(error)) == (Reason.ACCESS_DENIED, True)


def test_a_bucket_that_is_not_there(s3: S3, tmp_path: Path, secret: str) -> None:
    source = S3Source("nothing", endpoint=s3.endpoint)
    (tmp_path / "source").mkdir()
    error = refused(Download(str(tmp_path / "source"), s3=source, folders=("digits",), credentials=secret))
    assert error.reason == Reason.SOURCE_NOT_FOUND
    assert f"{s3.endpoint}/nothing: the server answered 404 NoSuchBucket" in str(error)


def test_a_model_that_is_not_there_and_what_is(s3: S3, tmp_path: Path, secret: str) -> None:
    error = refused(s3.download(tmp_path / "source", "digit", prefix="team-a/models", credentials=secret))
    assert error.reason == Reason.MODEL_NOT_FOUND
    assert f"{s3.endpoint}/{BUCKET}/team-a/models has no folder \"digit\"; it has 'digits', 'linear_reg" in str(error)


def test_an_address_at_which_nobody_answers(s3: S3, tmp_path: Path) -> None:
    """A full backlog has the same effect as a firewall that drops packets."""
    with socket.socket() as silent, ExitStack() as waiting:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(8):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        source = S3Source(BUCKET, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        (tmp_path / "source").mkdir()
        error = refused(Download(str(tmp_path / "source"), s3=source, folders=("digits",)))
    assert error.reason == Reason.SOURCE_UNREACHABLE
    assert "the server did not answer in time; no data was received for 5 seconds" in str(error)


def test_nobody_listens(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    source = S3Source(BUCKET, endpoint="http://127.0.0.1:1")
    error = refused(Download(str(tmp_path / "source"), s3=source, folders=("digits",)))
    assert (error.reason, "the connection was refused" in str(error)) == (Reason.SOURCE_UNREACHABLE, True)


def test_a_large_file_comes_in_parts_and_is_the_same(
    s3: S3, tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART", 1 << 20)
    content = os.urandom((5 << 20) + 17)
    s3.put("large/1/model.pt", content)
    progress: list[tuple[int, int | None]] = []
    folder = fetch(
        s3.download(tmp_path / "source", "large", credentials=secret),
        lambda done, total: progress.append((done, total)),
    )
    assert (folder / "large" / "1" / "model.pt").read_bytes() == content
    s3.delete("large/1/model.pt")


def test_a_killed_download_resumes(s3: S3, tmp_path: Path, secret: str) -> None:
    """The process is killed by SIGKILL, and a new one continues in the same volume, as after a container restart."""
    content = os.urandom(400 << 20)
    s3.put("huge/1/model.pt", content)
    download = s3.download(tmp_path / "source", "huge", credentials=secret)
    config = tmp_path / "models.json"
    config.write_bytes(encode(Preparation((), downloads=(download,))))
    journal = tmp_path / "source" / ".journal"
    first = _prepare(config, tmp_path)
    while first.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < 5):
        time.sleep(0.001)
    first.send_signal(signal.SIGKILL)
    first.wait()
    there = journal.read_bytes().count(b"\n")
    assert 5 <= there < 25, "it was to be killed in the middle"
    assert not (tmp_path / "source" / "repository").exists()
    second = _prepare(config, tmp_path)
    assert second.wait() == 0
    assert journal.read_bytes().count(b"\n") == 25
    assert read_prepare((tmp_path / "termination-log").read_text()) == Prepared(())
    assert (tmp_path / "source" / "repository" / "huge" / "1" / "model.pt").read_bytes() == content
    s3.delete("huge/1/model.pt")


def _prepare(config: Path, folder: Path) -> subprocess.Popen[bytes]:
    options = [f"--config={config}", f"--termination-log={folder / 'termination-log'}", "--fetch-only"]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-m", "triton_operator.prepare", *options], env=environment)


def test_an_object_that_is_replaced_meanwhile_is_fetched_again(
    s3: S3, tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file must not contain parts of both versions."""
    monkeypatch.setattr(parts, "PART", 1 << 20)
    monkeypatch.setattr(parts, "CONNECTIONS", 1)
    old, new = os.urandom(4 << 20), os.urandom(4 << 20)
    s3.put("changing/1/model.pt", old)
    add, added = Journal.add, 0

    def replace_after_the_second(journal: Journal, file: RemoteFile, start: int) -> None:
        nonlocal added
        added += 1
        add(journal, file, start)
        if added == 2:
            s3.put("changing/1/model.pt", new)

    monkeypatch.setattr(Journal, "add", replace_after_the_second)
    assert fetched(s3.download(tmp_path / "source", "changing", credentials=secret)) == {"changing/1/model.pt": new}
    assert added == 6
    s3.delete("changing/1/model.pt")


def test_a_server_that_is_started_again_is_waited_for(
    s3: S3, tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is killed during a download, and a new one starts at the same address; connections fail in between."""
    monkeypatch.setattr(parts, "PART", 1 << 20)
    monkeypatch.setattr(patience, "WITHOUT_PROGRESS_SECONDS", 20)
    content = os.urandom(16 << 20)
    add = Journal.add
    with ExitStack() as servers:
        first = servers.enter_context(s3_server(tmp_path / "data"))
        first.put("digits/1/model.pt", content)

        def replace_the_server(journal: Journal, file: RemoteFile, start: int) -> None:
            monkeypatch.setattr(Journal, "add", add)
            os.kill(first.pid, signal.SIGKILL)
            servers.enter_context(s3_server(tmp_path / "data", port=int(first.endpoint.rpartition(":")[2])))
            add(journal, file, start)

        monkeypatch.setattr(Journal, "add", replace_the_server)
        got = fetched(first.download(tmp_path / "source", "digits", credentials=secret))
    assert got == {"digits/1/model.pt": content}


def test_the_identity_of_the_pod_is_used_where_there_is_no_secret(
    s3_tls: S3, tmp_path: Path, authority: ClusterAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on AWS, the ServiceAccount token is exchanged for keys over TLS; the keys sign the requests."""
    (tmp_path / "token").write_text("token-of-the-pod")
    authority.issue("sts", CertificateSubject("sts", addresses=["127.0.0.1"]))
    with web_server(certificate=authority.folder / "sts.crt") as sts:
        sts.answer = lambda request: Answer(200, IDENTITY.encode())
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"https://127.0.0.1:{sts.port}")
        download = s3_tls.download(tmp_path / "source", "digits")
        assert fetched(msgspec.structs.replace(download, ca_bundle=str(authority.certificate))) == DIGITS
    assert sts.requests
