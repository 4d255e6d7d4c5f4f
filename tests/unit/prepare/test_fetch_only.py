"""`prepare --fetch-only` in the Job of a cache: the folders in the claim, and the exit codes for the Job's policy."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_server import Answer, Web, web_server
from triton_operator.api.repository import HttpSource
from triton_operator.prepare.__main__ import main
from triton_operator.triton.prepare_contract.outcome import MISTAKE, PrepareFailed, read_prepare
from triton_operator.triton.prepare_contract.request import Download, Preparation, encode


def an_archive() -> bytes:
    """Build a repository with one file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo("digits/1/model.pt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"model"))
    return content.getvalue()


class Job:
    """A claim, and a Job whose pods fill it."""

    def __init__(self, folder: Path, web: Web, checksum: str) -> None:
        self.claim = folder / "claim"
        self.claim.mkdir()
        self.log = folder / "termination-log"
        source = HttpSource(url=f"http://127.0.0.1:{web.port}/models.tar.gz", sha256=checksum)
        self.config = folder / "models.json"
        download = Download(target=str(self.claim / "source"), http=source)
        self.config.write_bytes(encode(Preparation(models=(), downloads=(download,))))

    def run(self) -> int:
        """Run one pod and return its exit code."""
        return main([f"--config={self.config}", f"--termination-log={self.log}", "--fetch-only"])


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server({"/models.tar.gz": an_archive()}) as server:
        yield server


def test_a_pod_fills_a_folder_of_its_own_and_the_next_one_finds_it_done(tmp_path: Path, web: Web) -> None:
    job = Job(tmp_path, web, hashlib.sha256(an_archive()).hexdigest())
    assert job.run() == 0
    assert (job.claim / "source" / "repository" / "digits" / "1" / "model.pt").read_bytes() == b"model"
    requests = len(web.requests)
    assert job.run() == 0
    assert len(web.requests) == requests


@pytest.mark.parametrize(
    ("answer", "checksum", "reason"),
    [
        (Answer(404), "0" * 64, "SourceNotFound"),
        (Answer(403), "0" * 64, "AccessDenied"),
        (None, "0" * 64, "DigestMismatch"),
    ],
)
def test_a_mistake_has_an_exit_code_of_its_own(
    tmp_path: Path, web: Web, answer: Answer | None, checksum: str, reason: str
) -> None:
    web.answer = lambda _: answer
    job = Job(tmp_path, web, checksum)
    assert job.run() == MISTAKE
    outcome = read_prepare(job.log.read_text())
    assert isinstance(outcome, PrepareFailed)
    assert outcome.reason == reason


def test_what_may_pass_has_another(tmp_path: Path, web: Web) -> None:
    job = Job(tmp_path, web, "0" * 64)
    job.config.write_text("{")
    assert job.run() == 1
