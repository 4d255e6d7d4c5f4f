"""Create the base image without a registry: Debian 12 with Python 3.11, unpacked from Debian packages.

Input: packages of `bookworm`. Output: a root file system of about 60 MB, without apt and dpkg; maintainer scripts are
not run. `builder` calls it. `docker build` uses python:3.11-slim-bookworm instead, which has the same C library and
Python. The base is Debian 12 on every machine, because Triton's stub process is built for Python 3.11 and numpy 1.x.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from hack.cache import cache_dir, ensure_folder
from hack.images import bookworm
from hack.images.contexts import PreparedContext
from hack.images.failures import ImageError
from hack.progress import step

PACKAGES = (
    "base-files",
    "bash",  # Triton starts its stub process through `bash -c`.
    "ca-certificates",
    "libbz2-1.0",
    "libc-bin",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libstdc++6",
    "libtinfo6",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
_MERGED = ("bin", "sbin", "lib", "lib64")
_EMPTY = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "root", "home")
_LEFT_OUT = ("man", "locale", "info", "lintian", "doc-base", "menu", "pixmaps")
_ACCOUNTS = (("root", 0), ("triton-server", 1000), ("nonroot", 65532))
_RECIPE = "1"  # Increment it if this file creates a different base from the same packages.


def base() -> PreparedContext:
    """The base as a build context; downloaded on first use."""
    return PreparedContext(_key(), _ensure)


def _key() -> str:
    return hashlib.sha256(repr((_RECIPE, bookworm.SUITE, PACKAGES, _ACCOUNTS)).encode()).hexdigest()


def _ensure() -> Path:
    return ensure_folder(cache_dir() / "images" / "base" / _key()[:12], _create)


def _create(root: Path) -> None:
    with step("base of the images: Debian 12's Python"), tempfile.TemporaryDirectory() as temporary:
        archives = bookworm.download(PACKAGES, Path(temporary))
        _unpack(archives, root)
        _finish(root)


def _unpack(archives: list[Path], root: Path) -> None:
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    excluded = [f"--exclude=./usr/share/{name}" for name in _LEFT_OUT]
    for archive in archives:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacking:
            command = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", *excluded, "-C", str(root)]
            done = subprocess.run(command, stdin=unpacking.stdout, capture_output=True, text=True, check=False)
        if done.returncode or unpacking.returncode:
            raise ImageError(f"could not unpack {archive.name}: {done.stderr[-500:]}")


def _finish(root: Path) -> None:
    """Apply the effects of the packages' maintainer scripts that a container needs."""
    (root / "usr/bin/python3").symlink_to("python3.11")
    (root / "usr/bin/sh").symlink_to("bash")
    for name in _EMPTY:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    accounts = (f"{name}:x:{number}:{number}:{name}:/root:/bin/sh\n" for name, number in _ACCOUNTS)
    (root / "etc/passwd").write_text("".join(accounts))
    (root / "etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number in _ACCOUNTS))
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    (root / "etc/ssl/certs/ca-certificates.crt").write_text("".join(path.read_text() for path in authorities))
