"""Install Python packages for an image: on the host, for the image's Python version.

Input: a lock file with hashes. Output: a build context with the content of `site-packages`. `catalogue` calls it. The
image build needs no network or package index, and environments and images share downloaded packages.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING

from hack.cache import cache_dir, ensure_folder
from hack.environment import uv_program
from hack.images.contexts import PreparedContext
from hack.images.failures import ImageError
from hack.progress import step

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "3.11"


def python_packages(name: str, lock: Path, machine: str) -> PreparedContext:
    """Describe the packages of a lock file for an image called `name`; `machine` is x86_64 or aarch64."""
    key = hashlib.sha256(f"{PYTHON} {machine}\0".encode() + lock.read_bytes()).hexdigest()
    return PreparedContext(key, partial(_ensure, name, lock, machine, key))


def _ensure(name: str, lock: Path, machine: str, key: str) -> Path:
    def install(draft: Path) -> None:
        with step(f"Python packages of image {name}"):
            _install(lock, machine, draft)

    return ensure_folder(cache_dir() / "images" / "python" / f"{name}-{key[:12]}", install)


def _install(lock: Path, machine: str, folder: Path) -> None:
    # Debian 12 has glibc 2.36, so packages for glibc 2.35 or older are compatible.
    platform = ["--python-version", PYTHON, "--python-platform", f"{machine}-manylinux_2_35"]
    rules = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command = [str(uv_program()), "pip", "install", "--target", str(folder), *platform, *rules, "-r", str(lock)]
    cache = cache_dir() / "python" / "uv-cache"
    environment = {**os.environ, "UV_CACHE_DIR": str(cache), "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"the packages of {lock.name} cannot be installed:\n{done.stderr[-1500:]}")
    (folder / ".lock").unlink(missing_ok=True)
