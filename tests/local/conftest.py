"""The package as a user installs it: a wheel in a separate environment, with its `tritonctl`.

`user` represents a new user.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.cache import cache_dir
from hack.environment import uv_program
from tests.local.session import User

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Build the wheel and install it with its extra `cli`."""
    return _installed(tmp_path_factory.mktemp("user"), "[cli]")


@pytest.fixture(scope="session")
def encrypting_user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Install it with the extras for signed and encrypted models, too."""
    return _installed(tmp_path_factory.mktemp("encrypting_user"), "[cli,encryption,signing]")


def _installed(folder: Path, extras: str) -> User:
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (wheel,) = folder.glob("*.whl")
    base = getattr(sys, "_base_executable", sys.executable)
    _run(str(uv_program()), "venv", "--quiet", "--python", base, str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    _run(str(uv_program()), "pip", "install", "--quiet", "--python", str(python), f"{wheel}{extras}")
    return User(python.parent, cache_dir() / "local")


def _run(*command: str) -> None:
    environment = {**os.environ, "UV_CACHE_DIR": str(cache_dir() / "python" / "uv-cache")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
