"""Download an archive over HTTP: resume, verify and unpack it, and reject invalid archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hack.cluster.pki import CertificateSubject, ClusterAuthority
from tests.downloads import fetched, refused
from tests.web_server import Answer, Request, Web, web_server
from triton_operator.api.conditions import Reason
from triton_operator.api.repository import HttpSource
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch import archive, parts, run, space
from triton_operator.prepare.fetch import retry_budget as patience
from triton_operator.prepare.fetch.run import fetch
from triton_operator.triton.prepare_contract.request import Download

MODEL = b"weights" * 1000
FILES = {"digits/config.pbtxt": b'backend: "pytorch"', "digits/1/model.pt": MODEL}


def tar(files: dict[str, bytes], mode: str = "w:gz", *extra: tarfile.TarInfo) -> bytes:
    """Build a tar archive of the files and of `extra` members that are not regular files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Build a zip archive of the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Create a member without content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server({"/models.tar.gz": tar(FILES)}) as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses and the timeout, which is 30 seconds by default."""
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(patience, "WITHOUT_PROGRESS_SECONDS", 0.3)


def a_download(web: Web, target: Path, path: str = "/models.tar.gz", sha256: str | None = None) -> Download:
    """Describe the download of a file from the test server."""
    target.mkdir(exist_ok=True)
    return Download(target=str(target), http=HttpSource(f"http://127.0.0.1:{web.port}{path}", sha256))


@pytest.mark.parametrize("content", [tar(FILES), tar(FILES, "w"), zipped(FILES)], ids=["tar.gz", "tar", "zip"])
def test_every_kind_of_archive_is_told_by_its_content(web: Web, tmp_path: Path, content: bytes) -> None:
    web.files["/download"] = content
    assert fetched(a_download(web, tmp_path / "source", "/download?id=7")) == FILES
    assert not list((tmp_path / "source").glob("*.partial"))


def test_it_is_fetched_once(web: Web, tmp_path: Path) -> None:
    """A container that restarts in the same pod reuses the files."""
    assert fetched(a_download(web, tmp_path / "source")) == FILES
    web.requests.clear()
    assert fetched(a_download(web, tmp_path / "source")) == FILES
    assert web.requests == []


def test_after_a_crash_of_the_node_nothing_is_believed(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot, a download counts as complete only if it was flushed to disk (`durable`)."""
    fetched(a_download(web, tmp_path / "source"))
    fetch(a_download(web, tmp_path / "kept"), lambda done, total: None, durable=True)
    monkeypatch.setattr(run, "this_boot", lambda: "another")
    web.requests.clear()
    fetch(a_download(web, tmp_path / "kept"), lambda done, total: None, durable=True)
    assert web.requests == []
    assert fetched(a_download(web, tmp_path / "source")) == FILES
    assert web.requests != []


def test_the_checksum_is_compared(web: Web, tmp_path: Path) -> None:
    right = hashlib.sha256(web.files["/models.tar.gz"]).hexdigest()
    assert fetched(a_download(web, tmp_path / "right", sha256=right)) == FILES
    error = refused(a_download(web, tmp_path / "wrong", sha256="0" * 64))
    assert error.reason == Reason.DIGEST_MISMATCH
    assert right in str(error)
    assert "0" * 64 in str(error)


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without"])
def test_a_connection_that_breaks_off_is_taken_up_again(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: bool
) -> None:
    monkeypatch.setattr(parts, "PART", 4096)
    content = tar({"digits/1/model.pt": os.urandom(30_000)}, "w")
    web.files["/models.tar.gz"], web.ranges = content, ranges
    web.break_after, web.breaks = 3000, 4
    assert len(fetched(a_download(web, tmp_path / "source"))["digits/1/model.pt"]) == 30_000


def test_what_is_there_is_not_fetched_again(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second attempt after an interrupted download requests only the missing parts."""
    monkeypatch.setattr(parts, "PART", 4096)
    monkeypatch.setattr(parts, "CONNECTIONS", 1)
    content = tar({"digits/1/model.pt": os.urandom(40_000)}, "w")
    web.files["/models.tar.gz"] = content
    web.answer = lambda request: Answer(404) if len(web.requests) > 6 else None
    refused(a_download(web, tmp_path / "source"))
    web.answer = lambda request: None
    web.requests.clear()
    fetched(a_download(web, tmp_path / "source"))
    assert web.requests[1].headers["range"] == "bytes=20480-24575"
    assert len(web.requests) == 1 + (len(content) - 20480 + 4095) // 4096


def test_another_version_begins_anew(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file changes during a download, the download starts from the beginning instead of mixing both versions."""
    monkeypatch.setattr(parts, "PART", 4096)
    monkeypatch.setattr(parts, "CONNECTIONS", 1)
    new = {"digits/1/model.pt": os.urandom(40_000)}
    web.files["/models.tar.gz"] = tar({"digits/1/model.pt": os.urandom(40_000)}, "w")

    def replace(request: Request) -> None:
        if len(web.requests) == 5:
            web.files["/models.tar.gz"] = tar(new, "w")

    web.answer = replace
    assert fetched(a_download(web, tmp_path / "source")) == new


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, Reason.SOURCE_NOT_FOUND),
        (410, Reason.SOURCE_NOT_FOUND),
        (401, Reason.ACCESS_DENIED),
        (403, Reason.ACCESS_DENIED),
        (503, Reason.SOURCE_UNREACHABLE),
        (429, Reason.SOURCE_UNREACHABLE),
    ],
)
def test_refusals_have_reasons_and_show_no_query(web: Web, tmp_path: Path, status: int, reason: str) -> None:
    web.answer = lambda request: Answer(status)
    error = refused(a_download(web, tmp_path / "source", "/models.tar.gz?X-Signature=secret"))
    assert error.reason == reason
    assert f"http://127.0.0.1:{web.port}/models.tar.gz: the server answered {status}" in str(error)
    assert "secret" not in str(error)


def test_a_server_that_comes_back_is_waited_for(web: Web, tmp_path: Path) -> None:
    web.answer = lambda request: Answer(503) if len(web.requests) < 4 else None
    assert fetched(a_download(web, tmp_path / "source")) == FILES


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with web_server() as gone:
        pass
    error = refused(a_download(gone, tmp_path / "source"))
    assert error.reason == Reason.SOURCE_UNREACHABLE
    assert "Connection refused; no data was received for" in str(error)


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"username": "me", "password": "pass"}, "Basic bWU6cGFzcw=="),
        ({"token": "abc"}, "Bearer abc"),
        ({"token": "abc\n"}, "Bearer abc"),
    ],
)
def test_credentials_come_from_files(web: Web, tmp_path: Path, secret: dict[str, str], header: str) -> None:
    for key, value in secret.items():
        (tmp_path / key).write_text(value)
    download = a_download(web, tmp_path / "source")
    fetched(Download(download.target, http=download.http, credentials=str(tmp_path)))
    assert {request.headers["authorization"] for request in web.requests} == {header}


def test_half_a_secret_is_named_and_not_shown(web: Web, tmp_path: Path) -> None:
    (tmp_path / "username").write_text("me")
    download = a_download(web, tmp_path / "source")
    error = refused(Download(download.target, http=download.http, credentials=str(tmp_path)))
    assert (error.reason, str(error)) == (Reason.ACCESS_DENIED, "the Secret of credentialsSecretRef has no password")
    (tmp_path / "password").write_text("pässword\n1")
    error = refused(Download(download.target, http=download.http, credentials=str(tmp_path)))
    assert "are not allowed in credentials" in str(error)
    assert "ssword" not in str(error).replace("password", "")


def test_a_redirect_does_not_take_credentials_along(web: Web, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    with web_server(web.files) as other:
        web.answer = lambda request: Answer(302, b"", {"Location": f"http://127.0.0.1:{other.port}/models.tar.gz"})
        download = a_download(web, tmp_path / "source")
        assert fetched(Download(download.target, http=download.http, credentials=str(tmp_path))) == FILES
    assert all("authorization" not in request.headers for request in other.requests)
    assert web.requests[0].headers["authorization"] == "Bearer abc"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_does_not_lead_to_another_scheme(web: Web, tmp_path: Path, location: str) -> None:
    web.answer = lambda request: Answer(302, b"", {"Location": location})
    assert refused(a_download(web, tmp_path / "source")).reason == Reason.SOURCE_NOT_FOUND


def test_a_private_authority_has_to_be_named(tmp_path: Path) -> None:
    authority = ClusterAuthority(tmp_path)
    authority.issue("server", CertificateSubject("server", addresses=["127.0.0.1"]))
    authority.issue("other", CertificateSubject("other", hosts=["other.example.com"]))
    for name, words in (("server", "unable to get local issuer certificate"), ("other", "unable to get local issuer")):
        with web_server({"/m": tar(FILES)}, tmp_path / f"{name}.crt") as web:
            url = f"https://127.0.0.1:{web.port}/m"
            (tmp_path / name).mkdir()
            plain = Download(str(tmp_path / name), http=HttpSource(url))
            error = refused(plain)
            assert error.reason == Reason.SOURCE_UNTRUSTED
            assert words in str(error)
            trusting = Download(plain.target, http=plain.http, ca_bundle=str(authority.certificate))
            if name == "server":
                assert fetched(trusting) == FILES
            else:
                assert "IP address mismatch" in str(refused(trusting))


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        b"oops",
        b"-----BEGIN CERTIFICATE-----\noops\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        b"\xff\0\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_bundle_without_certificates_is_named(web: Web, tmp_path: Path, bundle: bytes) -> None:
    (tmp_path / "ca.crt").write_bytes(bundle)
    download = a_download(web, tmp_path / "source")
    error = refused(Download(download.target, http=download.http, ca_bundle=str(tmp_path / "ca.crt")))
    assert (error.reason, "caBundleConfigMapRef" in str(error)) == (Reason.SOURCE_UNTRUSTED, True)


def _zip_with_a_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo("digits/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    return buffer.getvalue()


HUGE_HEADER = member("x", tarfile.XHDTYPE)
HUGE_HEADER.size = 1 << 30
HOSTILE = {
    "leaves the repository": (tar({"../outside": b"x"}), "'../outside' leaves the repository"),
    "climbs out deep inside": (tar({"a/b/../../../outside": b"x"}), "leaves the repository"),
    "is absolute": (tar({"/etc/cron.d/x": b"x"}), "is an absolute path"),
    "zip leaves the repository": (zipped({"../outside": b"x"}), "leaves the repository"),
    "a link out": (tar({}, "w:gz", member("link", tarfile.SYMTYPE, "/etc/passwd")), "'link' is a link"),
    "a link inside": (tar({}, "w:gz", member("link", tarfile.SYMTYPE, "digits")), "'link' is a link"),
    "a hard link": (tar({}, "w:gz", member("link", tarfile.LNKTYPE, "/etc/passwd")), "is a link"),
    "a link in a zip": (_zip_with_a_link(), "is a link or a device"),
    "a device": (tar({}, "w:gz", member("null", tarfile.CHRTYPE)), "'null' is a device or a pipe"),
    "a pipe": (tar({}, "w:gz", member("pipe", tarfile.FIFOTYPE)), "is a device or a pipe"),
    "a file twice": (tar({}, "w:gz", member("a"), member("a")), "'a' occurs twice"),
    "a file and a folder": (tar({"a": b"x", "a/b": b"x"}), "'a/b' occurs twice, or as a file and as a folder"),
    "a control character": (tar({"a\nb": b"x"}), "control character"),
    "a name too long": (tar({"a" * 300: b"x"}), "is too long"),
    "a huge header": (HUGE_HEADER.tobuf(), "claims 1073741824 bytes"),
    "cut in a member": (tar(FILES, "w")[:2000], "broken"),
    "cut between members": (tar(FILES, "w")[:1024], "is truncated"),
    "cut in gzip": (tar(FILES)[:-20], "broken"),
    "gzip with another checksum": (tar(FILES)[:-8] + b"12345678", "broken"),
    "much behind the end": (gzip.compress(tar(FILES, "w") + bytes(20 << 20)), "data after the end of the archive"),
    "a web page": (b"<html>not found</html>" * 100, "is not a .tar, .tar.gz or .zip archive"),
    "nothing": (b"", "is not a .tar"),
    "half a zip": (zipped(FILES)[:-30], "broken"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing_outside(web: Web, tmp_path: Path, case: str) -> None:
    content, words = HOSTILE[case]
    web.files["/models.tar.gz"] = content
    error = refused(a_download(web, tmp_path / "source"))
    assert error.reason == Reason.SOURCE_INVALID
    assert words in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def _broken_in_ways_of_their_own() -> dict[str, bytes]:
    """Build broken archives for which the standard library raises other errors than `BadZipFile` and `TarError`."""
    bz2 = bytearray(zipped(FILES, zipfile.ZIP_BZIP2))
    offset = bytearray(zipped(FILES))
    at = offset.rindex(b"PK\x01\x02")
    offset[at + 42 : at + 46] = b"\xff\xff\xff\x7f"
    nameless = bytearray(zipped({"a": b"x"}))
    for begin in (nameless.index(b"PK\x03\x04") + 26, nameless.index(b"PK\x01\x02") + 28):
        nameless[begin : begin + 2] = b"\0\0"
    encrypted = bytearray(zipped({"a": b"x"}))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    return {
        "compressed by bzip2": bytes(bz2),
        "compressed by lzma": zipped(FILES, zipfile.ZIP_LZMA),
        "a member that lies behind the end": bytes(offset),
        "a member without a name": bytes(nameless),
        "an encrypted member": bytes(encrypted),
        "a negative size": tar(FILES, "w")[:124] + b"\xff" * 12 + tar(FILES, "w")[136:],
    }


@pytest.mark.parametrize("case", sorted(_broken_in_ways_of_their_own()))
def test_what_no_reader_foresaw_is_a_mistake_of_the_source(web: Web, tmp_path: Path, case: str) -> None:
    web.files["/models.tar.gz"] = _broken_in_ways_of_their_own()[case]
    assert refused(a_download(web, tmp_path / "source")).reason == Reason.SOURCE_INVALID


WHOLE = [tar(FILES, "w"), tar(FILES), zipped(FILES), zipped(FILES, zipfile.ZIP_STORED)]


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_damaged_archive_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The only possible exception is PrepareError, never an internal error of Python."""
    content = bytearray(data.draw(st.sampled_from(WHOLE)))
    places = st.integers(0, len(content) - 1)
    for at, byte in data.draw(st.dictionaries(places, st.integers(0, 255), max_size=6)).items():
        content[at] = byte
    folder = tmp_path_factory.mktemp("any")
    (folder / "archive").write_bytes(content[: data.draw(st.integers(1, len(content)))])
    (folder / "target").mkdir()
    try:
        archive.unpack(folder / "archive", folder / "target", "a.tar")
    except PrepareError as error:
        assert error.reason in {Reason.SOURCE_INVALID, Reason.OUT_OF_SPACE}  # noqa: PT017 - unpacking may also succeed.


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": f"bytes 0-0/{'9' * 5000}"},
        {"ETag": "", "Last-Modified": "Sun,\r\n\tx"},
        {"ETag": '"\xe9\x01"'},
        {"ETag": '"a\r\n b"'},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_headers_that_cannot_be_used_are_not(web: Web, tmp_path: Path, headers: dict[str, str]) -> None:
    """The archive is downloaded anyway, as from a server without support for ranges."""
    content = web.files["/models.tar.gz"]

    def answer(request: Request) -> Answer:
        ranged = "range" in request.headers
        part = {"Content-Range": f"bytes 0-0/{len(content)}"} | headers
        return Answer(206, content[:1], part) if ranged else Answer(200, content, headers)

    web.answer = answer
    assert fetched(a_download(web, tmp_path / "source")) == FILES


@pytest.mark.parametrize(
    "location", ["http://[::1/x", "http://127.0.0.1:99999999/x", f"http://{'a' * 70}.example/x", "http://a\x01b/"]
)
def test_a_redirect_to_no_address_is_a_mistake_of_the_source(web: Web, tmp_path: Path, location: str) -> None:
    web.answer = lambda request: Answer(302, b"", {"Location": location})
    error = refused(a_download(web, tmp_path / "source"))
    assert error.reason in {Reason.SOURCE_NOT_FOUND, Reason.SOURCE_UNREACHABLE}


def test_a_bomb_is_measured_before_it_goes_off(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The declared size of a member is compared with the free space; a member cannot exceed its declared size."""
    monkeypatch.setattr(space, "free_bytes", lambda folder: 1 << 20)
    web.files["/models.tar.gz"] = tar({"digits/1/model.pt": bytes(4 << 20)})
    error = refused(a_download(web, tmp_path / "source"))
    assert error.reason == Reason.OUT_OF_SPACE
    assert "needs 4.0 MiB, but the volume has 1.0 MiB free" in str(error)


def test_too_many_members(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    web.files["/models.tar.gz"] = tar({"a": b"", "b": b"", "c": b""})
    assert "more than 2 members" in str(refused(a_download(web, tmp_path / "source")))


def test_room_is_looked_at_before_the_first_byte(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda folder: 100)
    error = refused(a_download(web, tmp_path / "source"))
    size = len(web.files["/models.tar.gz"])
    assert (error.reason, len(web.requests)) == (Reason.OUT_OF_SPACE, 1)
    assert f"needs {size} bytes, but the volume has 100 bytes free" in str(error)
