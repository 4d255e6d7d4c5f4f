"""`prepare --fetch-only` in the Job of a cache: the folders in the claim, and the exit codes for the Job's policy."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.encrypted import encrypt
from tests.pod_folders import Pod
from tests.signers import Signer
from tests.web_server import Answer, Web, web_server
from triton_operator.api.repository import HttpSource
from triton_operator.prepare.__main__ import main
from triton_operator.triton.prepare_contract.outcome import MISTAKE, Prepared, PrepareFailed, read_prepare
from triton_operator.triton.prepare_contract.request import (
    Download,
    KeyFile,
    Preparation,
    PreparationModel,
    SignatureCheck,
    encode,
)


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


def test_a_job_verifies_signatures_and_removes_what_it_refuses(tmp_path: Path) -> None:
    """The model is signed at the source later, so the next attempt fetches it again."""
    signer = Signer(tmp_path)
    model = tmp_path / "digits"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.pt").write_bytes(b"model")
    files = {"/models.tar.gz": packed(model)}
    with web_server(files) as web:
        job = Job(tmp_path, web, "")
        download = Download(
            target=str(job.claim / "source"), http=HttpSource(url=f"http://127.0.0.1:{web.port}/models.tar.gz")
        )
        request = PreparationModel("digits", "digits", source=download.target)
        check = SignatureCheck((KeyFile("release", public_key=signer.public_key),))
        job.config.write_bytes(encode(Preparation((request,), downloads=(download,), verification=check)))
        assert job.run() == MISTAKE
        refused = read_prepare(job.log.read_text())
        assert isinstance(refused, PrepareFailed)
        assert (refused.reason, refused.model) == ("ModelUnsigned", "digits")
        assert not (job.claim / "source" / "repository").exists()
        signer.sign(model)
        files["/models.tar.gz"] = packed(model)
    with web_server(files) as web:
        again = HttpSource(url=f"http://127.0.0.1:{web.port}/models.tar.gz")
        signed = Download(target=download.target, http=again)
        job.config.write_bytes(encode(Preparation((request,), downloads=(signed,), verification=check)))
        assert job.run() == 0
    assert (job.claim / "source" / "repository" / "digits" / "1" / "model.pt").read_bytes() == b"model"


def test_the_claim_holds_the_ciphertext_which_a_pod_decrypts_into_memory(tmp_path: Path) -> None:
    """The Job has no key."""
    (tmp_path / "pod").mkdir()
    pod = Pod(tmp_path / "pod")
    model = pod.add("digits", v1="the plaintext")
    encrypt(pod, model)
    with web_server({"/models.tar.gz": packed(model)}) as web:
        job = Job(tmp_path, web, "")
        download = Download(
            target=str(job.claim / "source"), http=HttpSource(url=f"http://127.0.0.1:{web.port}/models.tar.gz")
        )
        job.config.write_bytes(encode(Preparation((), downloads=(download,))))
        assert job.run() == 0
    stored = [file for file in job.claim.rglob("*") if file.is_file()]
    assert "model.pt.enc" in {file.name for file in stored}
    assert [file for file in stored if b"the plaintext" in file.read_bytes()] == []
    shutil.rmtree(model)
    pod.ask_for(PreparationModel("digits", "digits", source=f"{job.claim}/source/repository"))
    assert isinstance(pod.prepare(), Prepared)
    served = pod.models / "digits" / "1" / "model.pt"
    assert served.read_text() == "the plaintext"
    assert pod.plaintext in served.resolve().parents


def packed(folder: Path) -> bytes:
    """A repository with this model, as an archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(folder, folder.name)
    return content.getvalue()
