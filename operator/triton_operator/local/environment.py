"""Triton's own environment under the cache folder: made once, then used by every run.

Input: a Python that fits. Output: `Environment`, a folder with the server, its backends, torch and numpy. It is keyed
by all that it is made of, complete or absent, and is laid out like a virtual environment: next to `bin/python3` is a
`pyvenv.cfg`, by which the Python inside Triton's helper processes finds its packages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from triton_operator import cpu_server
from triton_operator.cpu_server.assemble import lay_out
from triton_operator.local.errors import LocalError
from triton_operator.local.folders import filled, locked
from triton_operator.local.installer import find_installer, install
from triton_operator.local.machine import check_machine, check_room, this_machine
from triton_operator.local.progress import Tell
from triton_operator.local.pythons import Python, find_python
from triton_operator.triton.config.constants import AOT_INDUCTOR_BACKEND

PARTS = Path(cpu_server.__file__).parent
LOCK = PARTS / "requirements.lock"
RECIPE = "1"
"""Raise it when this file makes something else of the same parts."""

_KEPT_SECONDS = 30 * 24 * 3600
_COMPILED = "torch, torch.jit, torch.utils.dlpack, numpy, json, zipfile"
"""What the backend imports; compiling torch at each start would take seconds."""


class Environment(NamedTuple):
    """A finished one."""

    root: Path

    @property
    def caches(self) -> Path:
        """The folder with the implementations of the response cache."""
        return self.root / "caches"

    @property
    def libraries(self) -> Path:
        """What the server and its helpers link against."""
        return self.root / "lib"


class Planned(NamedTuple):
    """Where an environment is or will be, and the Python in it."""

    folder: Path
    python: Python


def plan_environment(cache: Path) -> Planned:
    """Look whether it is there or can be made, and change nothing; raises UnsupportedMachineError."""
    check_machine(this_machine())
    python = find_python()
    planned = Planned(cache / f"triton-{_key(python)}", python)
    if not planned.folder.is_dir():
        check_room(cache)
        find_installer(python)
    return planned


def ensure(planned: Planned, tell: Tell) -> Environment:
    """Make it unless it is there, which takes a few minutes; raises LocalError."""
    if not planned.folder.is_dir():
        with locked(planned.folder.parent, "environment"):
            if not planned.folder.is_dir():
                _forget_unused(planned.folder.parent)
                _make(planned, tell)
    os.utime(planned.folder)
    return Environment(planned.folder)


def _forget_unused(cache: Path) -> None:
    """Remove what another release of this package made and nobody has used in weeks: each is nearly a gigabyte."""
    for folder in cache.glob("triton-*"):
        if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def link_backends(environment: Environment, folder: Path) -> None:
    """Make `folder` what Triton looks for backends in: the environment's `python` and this package's own two."""
    folder.mkdir()
    (folder / "python").symlink_to(environment.root / "backends" / "python")
    for name in ("pytorch", AOT_INDUCTOR_BACKEND):
        shutil.copytree(PARTS / "backend", folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def _key(python: Python) -> str:
    """Hash of all that shapes it; the backend is not part of it."""
    digest = hashlib.sha256(f"{RECIPE} {python.version} {python.program} {python.library}".encode())
    for name in ("requirements.lock", "assemble.py", "cuda_stubs.py", "elf.py", "elf_stub.py", "strip_gpu_code.py"):
        digest.update((PARTS / name).read_bytes())
    return digest.hexdigest()[:12]


def _make(planned: Planned, tell: Tell) -> None:
    python = planned.python
    with filled(planned.folder) as draft:
        packages = draft / "packages"
        with tell("Fetching Triton, torch and numpy (1 GB)"):
            install(find_installer(python), python, LOCK, packages)
        with tell("Laying them out without what only GPUs need"):
            make_virtual(draft, python)
            lay_out(packages, draft, site_packages(draft, python), python.version)
            shutil.rmtree(packages)
        with tell("Compiling torch's modules"):
            _compile(draft)


def make_virtual(root: Path, python: Python) -> None:
    """The base of a virtual environment of this Python, with its library next to the server's."""
    (root / "bin").mkdir()
    (root / "lib").mkdir()
    (root / "bin" / "python3").symlink_to(python.program)
    (root / "lib" / python.library.name).symlink_to(python.library)
    settings = {"home": python.program.parent, "include-system-site-packages": "false"}
    (root / "pyvenv.cfg").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))


def site_packages(root: Path, python: Python) -> Path:
    """Where the packages of an environment lie."""
    return root / "lib" / f"python{python.version}" / "site-packages"


def _compile(root: Path) -> None:
    """Import what the backend imports: that it works is seen here, and the modules are compiled by it."""
    done = subprocess.run(
        [str(root / "bin" / "python3"), "-c", f"import {_COMPILED}"],
        env={"LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(f"torch does not work in the environment that was made of it: {done.stderr.strip()[-1500:]}")
