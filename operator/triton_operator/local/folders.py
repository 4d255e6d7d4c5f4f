"""Folders in the cache folder: one for environments, and a temporary one for each run.

Input: environment variables. Output: paths. Several commands may use the cache folder at the same time. The next run
removes the folders and shared memory of a run that was killed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from triton_operator.local.errors import UnsupportedMachineError

VARIABLE = "TRITON_OPERATOR_CACHE"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- the path that the kernel defines
_SHELL_SAFE = re.compile(r"[A-Za-z0-9._/-]+")
_LOCK = ".lock"


def cache_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Return the cache folder without creating it; raises UnsupportedMachineError for a path that Triton rejects."""
    folder = Path(environ.get(VARIABLE) or home / ".cache" / "triton-operator")
    if not folder.is_absolute():
        raise UnsupportedMachineError(
            f"{VARIABLE}={folder} is a relative path; use an absolute path, for example {Path.cwd() / folder}"
        )
    if not _SHELL_SAFE.fullmatch(str(folder)):
        raise UnsupportedMachineError(
            f"the path of the cache folder, {folder!s}, contains characters that Triton does not escape in a shell "
            f"command; set {VARIABLE} to a path of letters, digits, '.', '_' and '-'"
        )
    return folder / "local"


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a file lock, so that two commands do not create the same environment."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}{_LOCK}").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `folder` if the block succeeds, and removed if it raises."""
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.replace(folder)


@contextmanager
def run_folder(cache: Path) -> Iterator[Path]:
    """Create a folder for one run of a server; remove it, and the run's shared memory, at the end."""
    runs = cache / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with locked(runs, "all"):
        _remove_abandoned(runs)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=runs))
        handle = (folder / _LOCK).open("w")
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        _remove(folder)
        handle.close()


def region_prefix(folder: Path) -> str:
    """Prefix of the names of everything that this run has in SHARED_MEMORY."""
    return f"tritonctl-{folder.name}-"


def _remove_abandoned(runs: Path) -> None:
    """Remove the folders of runs that ended without cleaning up: a live run holds the lock of its folder."""
    for folder in runs.glob("run-*"):
        with suppress(OSError), (folder / _LOCK).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder last, because the next run uses it to find what this one left behind.

    Other users can create files with the same prefix, which only they can remove.
    """
    regions = [region for region in SHARED_MEMORY.glob(f"{region_prefix(folder)}*") if _is_own(region)]
    for region in regions:
        if region.is_dir() and not region.is_symlink():
            shutil.rmtree(region, ignore_errors=True)
        else:
            region.unlink(missing_ok=True)
    if not any(os.path.lexists(region) for region in regions):
        shutil.rmtree(folder, ignore_errors=True)


def _is_own(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.geteuid()
    except FileNotFoundError:  # Another process has removed it.
        return False
