"""The places under the cache folder: one for environments, one for each run that goes away with it.

Input: the environment variables. Output: paths. Two commands may work here at the same time; what a killed one left is
taken away by the next.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from triton_operator.local.errors import UnsupportedMachineError

VARIABLE = "TRITON_OPERATOR_CACHE"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- the kernel's place for it
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
_LOCK = ".lock"


def cache_folder(environ: Mapping[str, str], home: Path) -> Path:
    """Return the cache folder without creating it; raises UnsupportedMachineError for a path that Triton rejects."""
    folder = Path(environ.get(VARIABLE) or home / ".cache" / "triton-operator")
    if not folder.is_absolute():
        raise UnsupportedMachineError(
            f"{VARIABLE}={folder} is a relative path; give an absolute one, such as {Path.cwd() / folder}"
        )
    if not _PLAIN.fullmatch(str(folder)):
        raise UnsupportedMachineError(
            f"the cache folder {folder!s} has characters in its path that Triton's own shell command cannot hold; "
            f"set {VARIABLE} to a path of letters, digits, '.', '_' and '-'"
        )
    return folder / "local"


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock, so that two commands do not make the same environment."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}{_LOCK}").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` when the block ends well, and is removed when it does not."""
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
    """A folder for one run of a server, removed with all that the run has in shared memory."""
    runs = cache / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with locked(runs, "all"):
        _remove_left(runs)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=runs))
        handle = (folder / _LOCK).open("w")
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        _remove(folder)
        handle.close()


def region_prefix(folder: Path) -> str:
    """How the names of this run's regions of shared memory begin."""
    return f"tritonctl-{folder.name}-"


def _remove_left(runs: Path) -> None:
    """Whoever holds the lock of a run's folder lives."""
    for folder in runs.glob("run-*"):
        with suppress(OSError), (folder / _LOCK).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for region in SHARED_MEMORY.glob(f"{region_prefix(folder)}*"):
        with suppress(OSError):
            region.unlink()
