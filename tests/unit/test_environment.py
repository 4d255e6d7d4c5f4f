"""`hack.environment`: what it says when something is missing, and when it makes an environment anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hack import environment

ROOT = Path(__file__).parents[2]


def test_an_old_python_gets_a_sentence() -> None:
    """It is run with whatever `python3` is; the sentence comes before anything that needs a newer one."""
    code = "import sys, runpy; sys.version_info = (3, 9, 2)\nrunpy.run_module('hack.environment', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_python_without_pip_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's python3 comes without."""
    bare = tmp_path / "python3"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(environment, "_PYTHON", str(bare))
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    with pytest.raises(environment.EnvironmentFailed, match=r"has no pip.*apt-get install python3-pip"):
        environment.uv_program()


def test_an_unknown_environment_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that exist."""
    assert environment.main(["prod"]) == 2
    assert "demo|dev" in capsys.readouterr().err


def test_a_complete_environment_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-made one is not: only the mark at the end counts."""
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(_: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        made.append(folder)

    monkeypatch.setattr(environment, "_make", make)
    folder = environment.ensure("demo")
    assert made == [folder]
    (folder / "complete").touch()
    assert environment.ensure("demo") == folder
    assert len(made) == 1


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda lock: lock.name)
def test_locks_have_hashes_and_no_addresses(lock: Path) -> None:
    """docs/decisions/0001-lock-without-hosts.md."""
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert not [line for line in lines if "://" in line]
    assert all(
        "--hash=sha256:" in lines[index + 1]
        for index, line in enumerate(lines)
        if "==" in line.split("--")[0].split(";")[0]
    )


def test_locks_agree_on_versions() -> None:
    """What the operator's image runs is what was tested."""
    pinned = [
        {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line.split(" ")[0]}
        for name in ("requirements.lock", "requirements-operator.lock", "requirements-demo.lock")
    ]
    everything, *parts = pinned
    assert all(part and part <= everything for part in parts)
