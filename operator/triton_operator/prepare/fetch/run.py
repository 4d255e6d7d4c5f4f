"""Fetch one Download: find the files, fetch what is missing, unpack an archive, and publish the complete repository.

The target folder contains a journal, an incomplete folder or archive, and finally the folder `repository`, which one
rename creates. `prepare` calls it before it resolves models, and the cache Job calls it to fill a claim.
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
from triton_operator.prepare.fetch.parts import ReportProgress, fetch_files
from triton_operator.prepare.fetch.retry_budget import RetryBudget
from triton_operator.prepare.fetch.route import FetchRoute
from triton_operator.triton.prepare_contract.request import REPOSITORY_FOLDER, Download, FetchProxy

Found = TypeVar("Found")

JOURNAL, GROWING, ARCHIVE = ".journal", "repository.partial", "archive.partial"
CHANGES = 3
"""Number of attempts if a file is replaced during the download."""


def fetch(
    download: Download, report_progress: ReportProgress, proxy: FetchProxy | None = None, *, durable: bool = False
) -> Path:
    """Return the folder with the complete repository; raises PrepareError, or OSError if the volume fails.

    `durable` flushes everything to the disk before the folder appears, for a volume that outlives a crash of the
    machine. An existing repository is reused if the same download fetched it and, without `durable`, during the current
    boot. The proxy is not part of a download's identity, because it does not change what is fetched.
    """
    target = Path(download.target)
    journal = Journal(target / JOURNAL)
    identity = DownloadIdentity(hashlib.sha256(msgspec.json.encode(download)).hexdigest(), this_boot())
    if _is_complete(target, journal, identity, durable=durable):
        return target / REPOSITORY_FOLDER
    if journal.identity != identity:
        _clear(target)
        journal.begin(identity)
    _fetch_unchanged(download, target, journal, report_progress, FetchRoute.of(proxy))
    if durable:
        _flush(target / GROWING)
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
    """Remove the files of another download, and nothing else."""
    for name in (REPOSITORY_FOLDER, GROWING):
        shutil.rmtree(target / name, ignore_errors=True)
    (target / ARCHIVE).unlink(missing_ok=True)


def _fetch_unchanged(
    download: Download, target: Path, journal: Journal, report_progress: ReportProgress, route: FetchRoute
) -> None:
    fetch_source = _fetch_s3 if download.s3 else _fetch_http
    for _ in range(CHANGES):
        try:
            fetch_source(download, target, journal, report_progress, route)
        except SourceChangedError:
            continue
        return
    message = "files at the source are repeatedly replaced during the download; retry when they are stable"
    raise PrepareError(Reason.SOURCE_UNREACHABLE, "", message)


def _fetch_s3(
    download: Download, target: Path, journal: Journal, report_progress: ReportProgress, route: FetchRoute
) -> None:
    from triton_operator.prepare.fetch.s3 import S3Origin  # Slow import, needed for S3 only.

    origin = S3Origin(download, route)
    files = _find_with_retries(origin.shown, origin.find)
    folder = target / GROWING
    folder.mkdir(exist_ok=True)
    _remove_others(folder, {file.name for file in files})
    fetch_files(origin, files, folder, journal, report_progress)


def _fetch_http(
    download: Download, target: Path, journal: Journal, report_progress: ReportProgress, route: FetchRoute
) -> None:
    from triton_operator.prepare.fetch.archive import unpack
    from triton_operator.prepare.fetch.http import HttpOrigin

    origin = HttpOrigin(download, route)
    file = _find_with_retries(origin.shown, lambda: origin.find(ARCHIVE))
    fetch_files(origin, [file], target, journal, report_progress)
    if download.http and download.http.sha256:
        _check(target / ARCHIVE, download.http.sha256, origin.shown)
    shutil.rmtree(target / GROWING, ignore_errors=True)
    (target / GROWING).mkdir()
    unpack(target / ARCHIVE, target / GROWING, origin.shown)


def _find_with_retries(shown: str, find: Callable[[], Found]) -> Found:
    budget, attempts = RetryBudget(shown), 0
    while True:
        try:
            return find()
        except TransientError as cause:
            attempts += 1
            budget.wait(cause, attempts)


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove files from an earlier attempt that no longer exist at the source."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in names:
            path.unlink()


def _check(archive: Path, wanted: str, shown: str) -> None:
    """Compare checksums; a wrong archive is removed, so that it is fetched again."""
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        archive.unlink()
        message = (
            f"{shown}: the archive's sha256 is {found}, expected {wanted}; verify the archive, or update http.sha256"
        )
        raise PrepareError(Reason.DIGEST_MISMATCH, "", message)


def _flush(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
