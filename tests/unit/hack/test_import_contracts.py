"""The contract against import cycles, which `make lint` checks, finds one."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LINT = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with two modules that do not import each other, and this project's contract for it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [each for each in settings["contracts"] if each["type"] == "acyclic_siblings"]
    assert set(contract["ancestors"]) == set(settings["root_packages"])
    (tmp_path / "contracts.ini").write_text(
        f"[importlinter]\nroot_package = app\n[importlinter:contract:1]\nname = {contract['name']}\n"
        f"type = {contract['type']}\nancestors = app\n"
    )
    inside = tmp_path / "app" / "room"
    inside.mkdir(parents=True)
    for path in (inside.parent / "__init__.py", inside / "__init__.py", inside / "first.py"):
        path.touch()
    (inside / "second.py").write_text("from app.room import first\n")
    return tmp_path


def lint(package: Path) -> Any:
    command = [str(LINT), "--config", "contracts.ini", "--no-cache"]
    return subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "back",
    [
        "from app.room import second",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.room import second",
        "def call():\n    from app.room import second",
    ],
    ids=["at the top", "for types", "in a function"],
)
def test_a_cycle_inside_a_room_is_found(package: Path, back: str) -> None:
    assert lint(package).returncode == 0

    (package / "app" / "room" / "first.py").write_text(back + "\n")

    report = lint(package)
    assert report.returncode == 1
    assert "No cycles are allowed in app.room" in report.stdout
