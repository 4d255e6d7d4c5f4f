"""The one folder on the machine that the tooling writes to.

Input: the environment. Output: a path. Called by everything in `hack/` that downloads, builds or runs something.
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
    from collections.abc import Iterator, Mapping

VARIABLE = "TRITON_OPERATOR_CACHE"
_ROOTS = ("images", "node")
"""Parts whose owners containers see."""


def cache_dir() -> Path:
    """Return the cache folder, made if it is missing.

    It is $TRITON_OPERATOR_CACHE, or `.cache/triton-operator` in the home of the
    person who invoked the command. Raises NotADirectoryError for a relative
    value or one that names a file.
    """
    folder = cache_place()
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in made:
        give_to_invoker(place)
    return folder


def cache_place() -> Path:
    """Return the same folder without making it, for questions that must change nothing; raises as `cache_dir`."""
    return locate(os.environ, _home_of(os.environ.get("SUDO_USER")))


def locate(environ: Mapping[str, str], home: Path) -> Path:
    """Decide which folder it is, touching nothing; `home` is the invoking person's."""
    given = environ.get(VARIABLE, "")
    if not given:
        return home / ".cache" / "triton-operator"
    if not Path(given).is_absolute():
        msg = f"{VARIABLE}={given} is a relative path; give an absolute one, such as {Path.cwd() / given}"
        raise NotADirectoryError(msg)
    return Path(given)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache folder, so that two commands do not build or start the same thing twice."""
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
    """Yield an empty folder that becomes `folder` when the block ends well, and is removed when it does not.

    So `folder` is either complete or absent, also after a kill at any moment:
    what an earlier run left half-made is thrown away first.
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


def give_to_invoker(path: Path) -> None:
    """Under sudo, hand `path` to the person who called, who is to use it without sudo."""
    if invoker := _invoker():
        os.chown(path, *invoker)


def give_back() -> None:
    """Under sudo, hand the folder to the person who called, so that other commands work without sudo afterwards.

    Commands that use sudo call it at their end. What containers see as root's stays root's.
    """
    invoker, folder = _invoker(), cache_place()
    if invoker is None or not folder.is_dir():
        return
    owner = f"{invoker[0]}:{invoker[1]}"
    parts = [str(part) for part in sorted(folder.iterdir()) if part.name not in _ROOTS]
    command = ["chown", "--recursive", "--no-dereference", owner, *parts]
    with step(f"give {folder} back to {os.environ.get('SUDO_USER', owner)}"):
        os.chown(folder, *invoker)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(f"some files still belong to root ({done.stderr.strip()}); run: sudo {shlex.join(command)}")


def _invoker() -> tuple[int, int] | None:
    """User and group of the person behind sudo; None where there is none."""
    if os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        return None
    return int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1"))


def _home_of(sudo_user: str | None) -> Path:
    """Sudo sets HOME to root's: downloads would then be kept twice, once per way of calling."""
    if sudo_user and os.geteuid() == 0:
        return Path(pwd.getpwnam(sudo_user).pw_dir)
    return Path.home()
