"""The cache folder, the only folder that the developer tools write to.

Input: environment variables. Output: a path. All modules of `hack/` that download, build or run something call it.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shlex
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hack.progress import say, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VARIABLE = "TRITON_OPERATOR_CACHE"
_ROOTS = ("images", "node")
"""Subfolders whose file owners are visible in containers."""


def cache_dir() -> Path:
    """Return the cache folder; create it if it is missing.

    It is $TRITON_OPERATOR_CACHE, or `.cache/triton-operator` in the home folder of the invoking user. Raises
    NotADirectoryError for a relative path or a file.
    """
    folder = cache_place()
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in created:
        give_to_invoker(path)
    return folder


def cache_place() -> Path:
    """Return the path of the cache folder without creating it; raises as `cache_dir`."""
    return locate(os.environ, _home_of(os.environ.get("SUDO_USER")))


def locate(environ: Mapping[str, str], home: Path) -> Path:
    """Determine the path without accessing it; `home` is the home folder of the invoking user."""
    configured = environ.get(VARIABLE, "")
    if not configured:
        return home / ".cache" / "triton-operator"
    if not Path(configured).is_absolute():
        msg = f"{VARIABLE}={configured} is a relative path; use an absolute path, for example {Path.cwd() / configured}"
        raise NotADirectoryError(msg)
    return Path(configured)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache folder, so that two commands do not build or start the same thing."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another command that uses {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `folder` if the block succeeds, and removed if it raises.

    `folder` is therefore either complete or absent, even if the process is killed. A partial folder of an earlier run
    is removed first.
    """
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.replace(folder)


def ensure_folder(folder: Path, create: Callable[[Path], object]) -> Path:
    """Return `folder`; if it is missing, `create` fills it, in one process at a time."""
    if not folder.is_dir():
        with locked(f"folder-{folder.parent.name}"):
            if not folder.is_dir():
                folder.parent.mkdir(parents=True, exist_ok=True)
                with atomic_folder(folder) as draft:
                    create(draft)
    return folder


def give_to_invoker(path: Path) -> None:
    """Under sudo, change the owner of `path` to the invoking user."""
    if invoker := _invoker():
        os.chown(path, *invoker)


def give_back() -> None:
    """Under sudo, change the owner of the cache folder to the invoking user, so that other commands work without sudo.

    Commands that use sudo call it at the end. Files that containers see as owned by root keep their owner.
    """
    invoker, folder = _invoker(), cache_place()
    if invoker is None or not folder.is_dir():
        return
    owner = f"{invoker[0]}:{invoker[1]}"
    parts = [str(part) for part in sorted(folder.iterdir()) if part.name not in _ROOTS]
    command = ["chown", "--recursive", "--no-dereference", owner, *parts]
    with step(f"change the owner of {folder} to {os.environ.get('SUDO_USER', owner)}"):
        os.chown(folder, *invoker)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"some files still belong to root ({done.stderr.strip()}); run: sudo {shlex.join(command)}")


def _invoker() -> tuple[int, int] | None:
    """User and group ID of the user who ran sudo; None without sudo."""
    if os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        return None
    return int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1"))


def _home_of(sudo_user: str | None) -> Path:
    """The invoking user's home folder, also under sudo, which sets HOME to root's: both share downloads."""
    if sudo_user and os.geteuid() == 0:
        return Path(pwd.getpwnam(sudo_user).pw_dir)
    return Path.home()
