"""HAProxy for the operator's image: the program from Debian 12, and the libraries that the base image lacks.

Input: the machine's apt. Output: a build context with the folders `sbin`, `lib` and `doc`. `catalogue` calls it. The
libraries have a folder of their own, so that they do not replace those of the base image.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import cache_dir, ensure_folder
from hack.images import bookworm
from hack.images.contexts import PreparedContext
from hack.images.failures import ImageError
from hack.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGES = (
    "haproxy",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "liblua5.3-0",
    "liblz4-1",
    "libopentracing-c-wrapper0",
    "libopentracing1",
    "libpcre2-8-0",
    "libsystemd0",
    "libzstd1",
)
_UNUSED = ("c++.so", "mocktracer")
_RECIPE = "1"  # Increment it if this file creates a different context from the same packages.


def haproxy() -> PreparedContext:
    """The build context; downloaded on first use."""
    return PreparedContext(_key(), ensure)


def _key() -> str:
    return hashlib.sha256(repr((_RECIPE, bookworm.SUITE, PACKAGES)).encode()).hexdigest()


def ensure() -> Path:
    """The folder with the files; created if it is missing. The program is `sbin/haproxy`."""
    return ensure_folder(cache_dir() / "images" / "haproxy" / _key()[:12], _create)


def _create(folder: Path) -> None:
    with step("HAProxy from Debian 12"), tempfile.TemporaryDirectory() as temporary:
        downloads, root = Path(temporary, "downloads"), Path(temporary, "root")
        downloads.mkdir()
        for archive in bookworm.download(PACKAGES, downloads):
            _unpack(archive, root)
        _select(root, folder)


def _unpack(archive: Path, root: Path) -> None:
    done = subprocess.run(["dpkg", "-x", str(archive), str(root)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"could not unpack {archive.name}: {done.stderr[-500:]}")


def _select(root: Path, folder: Path) -> None:
    for name in ("sbin", "lib", "doc"):
        (folder / name).mkdir()
    shutil.copy2(root / "usr" / "sbin" / "haproxy", folder / "sbin")
    for library in _libraries(root):
        # Copied under the name that programs load; the longer name of the same file is not needed.
        shutil.copyfile(library, folder / "lib" / library.name)
    for terms in sorted((root / "usr" / "share" / "doc").glob("*/copyright")):
        shutil.copyfile(terms, folder / "doc" / terms.parent.name)


def _libraries(root: Path) -> Iterable[Path]:
    """The links `lib*.so.N`, which are the names that programs load."""
    return (
        path
        for path in sorted(root.glob("**/lib/*-linux-gnu/lib*.so.*"))
        if path.is_symlink() and not any(word in path.name for word in _UNUSED)
    )
