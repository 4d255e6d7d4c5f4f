"""The one folder on the machine that the tooling writes to.

Enters: the environment. Leaves: a path. Called by everything in `hack/` that
downloads, builds or runs something.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hack.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "TRITON_OPERATOR_CACHE"


def cache_dir() -> Path:
    """Return the cache folder, made if it is missing.

    It is $TRITON_OPERATOR_CACHE, or `.cache/triton-operator` in the home of the
    person who invoked the command. Raises NotADirectoryError for a relative
    value or one that names a file.
    """
    folder = cache_place()
    folder.mkdir(parents=True, exist_ok=True)
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
            say(f"waiting for another command that works on {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
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


def _home_of(sudo_user: str | None) -> Path:
    """Sudo sets HOME to root's: downloads would then be kept twice, once per way of calling."""
    if sudo_user and os.geteuid() == 0:
        return Path(pwd.getpwnam(sudo_user).pw_dir)
    return Path.home()
