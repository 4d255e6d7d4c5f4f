"""Create the base image without a registry: Debian 12 with Python 3.11, unpacked from Debian packages.

Input: the machine's apt. Output: a root file system of about 60 MB, without apt and dpkg; maintainer scripts are not
run. `builder` calls it. `docker build` uses python:3.11-slim-bookworm instead, which has the same C library and Python.
The base is Debian 12 on every machine, because Triton's stub process is built for Python 3.11 and numpy 1.x.

Packages are downloaded from the Debian mirror that the machine's apt uses, or from $TRITON_OPERATOR_DEBIAN_MIRROR (an
address ending in /debian). apt verifies the signatures.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from hack.cache import atomic_folder, cache_dir
from hack.cluster import debian
from hack.images.contexts import Prepared
from hack.images.failures import ImageError
from hack.progress import step

VARIABLE = "TRITON_OPERATOR_DEBIAN_MIRROR"
SUITE = "bookworm"
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


def base() -> Prepared:
    """The base as a build context; downloaded on first use."""
    return Prepared(_key(), _ensure)


def _key() -> str:
    return hashlib.sha256(repr((_RECIPE, SUITE, PACKAGES, _ACCOUNTS)).encode()).hexdigest()


def _ensure() -> Path:
    folder = cache_dir() / "images" / "base" / _key()[:12]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            step("base of the images: Debian 12's Python"),
            atomic_folder(folder) as draft,
            tempfile.TemporaryDirectory() as temporary,
        ):
            archives = _download(Path(temporary))
            _unpack(archives, draft)
            _finish(draft)
    return folder


def mirrors(addresses: list[str], override: str = "") -> dict[str, str]:
    """The archive address of each suite, selected from the addresses that the machine's apt uses."""
    if override:
        return {SUITE: override.rstrip("/")}
    by_host: dict[str, str] = {}
    for address in (address.rstrip("/") for address in addresses):
        if address.endswith("/debian"):
            by_host.setdefault(SUITE, address)
        elif address.endswith("/debian-security"):
            by_host.setdefault(f"{SUITE}-security", address)
    if SUITE not in by_host:
        raise ImageError(
            f"no Debian mirror found; this machine's apt uses {', '.join(sorted(set(addresses))) or 'none'}. "
            f"Set {VARIABLE} to the address of a mirror, ending in /debian"
        )
    return by_host


def _download(folder: Path) -> list[Path]:
    addresses = _run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    keyring = _keyring()
    sources = folder / "sources.list"
    sources.write_text(
        "".join(
            f"deb [signed-by={keyring}] {address} {suite} main\n"
            for suite, address in mirrors(addresses, os.environ.get(VARIABLE, "")).items()
        )
    )
    options = _apt_options(folder, sources)
    _run("apt-get", *options, "update", "--quiet")
    _run("apt-get", *options, "download", "--quiet", *PACKAGES, folder=folder)
    return sorted(folder.glob("*.deb"))


def _apt_options(folder: Path, sources: Path) -> list[str]:
    """Options that isolate apt from this machine: separate sources and state, and no installed packages."""
    for name in ("lists/partial", "archives/partial", "parts"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": folder / "parts",
        "Dir::State::status": folder / "status",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _keyring() -> Path:
    place = Path("usr/share/keyrings/debian-archive-keyring.gpg")
    installed = Path("/") / place
    return installed if installed.exists() else debian.unpacked("debian-archive-keyring") / place


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


def _run(*command: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImageError(f"{command[0]} not found: without docker, images are built on Debian or Ubuntu only") from None
    if done.returncode:
        raise ImageError(f"{' '.join(command[:1])} failed with exit code {done.returncode}:\n{done.stderr[-1500:]}")
    return done.stdout
