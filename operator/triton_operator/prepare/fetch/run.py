"""Fetches one Download: find the files, fetch what is missing, unpack an archive, and show it when it is complete.

The target folder has a journal, a folder or an archive that grows, and at the end the folder `repository`, which
appears by one rename. Called by `prepare` before it looks at models, and by whoever fills a volume once for many pods.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.journal import DownloadIdentity, Journal, this_boot
from triton_operator.prepare.fetch.origin import SourceChangedError, TransientError
from triton_operator.prepare.fetch.parts import Tell, fetch_files
from triton_operator.prepare.fetch.retry_budget import RetryBudget
from triton_operator.triton.prepare_contract.request import REPOSITORY_FOLDER, Download

Found = TypeVar("Found")

JOURNAL, GROWING, ARCHIVE = ".journal", "repository.partial", "archive.partial"
CHANGES = 3
"""How often it is begun again because a file was replaced meanwhile."""


def fetch(download: Download, tell: Tell, *, durable: bool = False) -> Path:
    """Return the folder with the complete repository; raises PrepareError, or OSError when the volume fails.

    `durable` brings everything to the disk before the folder appears, for a volume that outlives the machine's crash.
    What was fetched before is taken as it is: by this download, and without `durable` in this life of the machine.
    """
    target = Path(download.target)
    journal = Journal(target / JOURNAL)
    identity = DownloadIdentity(hashlib.sha256(msgspec.json.encode(download)).hexdigest(), this_boot())
    if _is_complete(target, journal, identity, durable=durable):
        return target / REPOSITORY_FOLDER
    if journal.identity != identity:
        _clear(target)
        journal.begin(identity)
    _fetch_unchanged(download, target, journal, tell)
    if durable:
        _bring_to_disk(target / GROWING)
    (target / GROWING).rename(target / REPOSITORY_FOLDER)
    (target / ARCHIVE).unlink(missing_ok=True)
    if durable:
        _sync(target)
    return target / REPOSITORY_FOLDER


def _is_complete(target: Path, journal: Journal, wanted: DownloadIdentity, *, durable: bool) -> bool:
    if not (target / REPOSITORY_FOLDER).is_dir() or journal.identity is None:
        return False
    return journal.identity.download == wanted.download and (durable or journal.identity.boot == wanted.boot)


def _clear(target: Path) -> None:
    """Remove what another download left; nothing else is ever removed."""
    for name in (REPOSITORY_FOLDER, GROWING):
        shutil.rmtree(target / name, ignore_errors=True)
    (target / ARCHIVE).unlink(missing_ok=True)


def _fetch_unchanged(download: Download, target: Path, journal: Journal, tell: Tell) -> None:
    for _ in range(CHANGES):
        try:
            _fetch_s3(download, target, journal, tell) if download.s3 else _fetch_http(download, target, journal, tell)
        except SourceChangedError:
            continue
        return
    message = "the files at the source are replaced again and again while they are fetched"
    raise PrepareError(Reason.SOURCE_UNREACHABLE, "", message)


def _fetch_s3(download: Download, target: Path, journal: Journal, tell: Tell) -> None:
    from triton_operator.prepare.fetch.s3 import S3Origin  # Loads a library that other pods need not wait for.

    origin = S3Origin(download)
    files = _patiently(origin.shown, origin.find)
    folder = target / GROWING
    folder.mkdir(exist_ok=True)
    _remove_others(folder, {file.name for file in files})
    fetch_files(origin, files, folder, journal, tell)


def _fetch_http(download: Download, target: Path, journal: Journal, tell: Tell) -> None:
    from triton_operator.prepare.fetch.archive import unpack
    from triton_operator.prepare.fetch.http import HttpOrigin

    origin = HttpOrigin(download)
    file = _patiently(origin.shown, lambda: origin.find(ARCHIVE))
    fetch_files(origin, [file], target, journal, tell)
    if download.http and download.http.sha256:
        _check(target / ARCHIVE, download.http.sha256, origin.shown)
    shutil.rmtree(target / GROWING, ignore_errors=True)
    (target / GROWING).mkdir()
    unpack(target / ARCHIVE, target / GROWING, origin.shown)


def _patiently(shown: str, find: Callable[[], Found]) -> Found:
    patience, attempts = RetryBudget(shown), 0
    while True:
        try:
            return find()
        except TransientError as cause:
            attempts += 1
            patience.wait(cause, attempts)


def _remove_others(folder: Path, names: set[str]) -> None:
    """A file that an earlier attempt fetched and that is gone from the source since."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in names:
            path.unlink()


def _check(archive: Path, wanted: str, shown: str) -> None:
    """Compare checksums; a wrong archive is removed, because it would be wrong for ever."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        archive.unlink()
        message = f"{shown}: the archive's sha256 is {found}, expected {wanted}; find out who changed it"
        raise PrepareError(Reason.DIGEST_MISMATCH, "", message)


def _bring_to_disk(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
