"""`hack.environment`: its errors, and when it creates an environment again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hack import environment
from tests.paths import ROOT


def test_an_old_python_gets_a_sentence() -> None:
    """Any `python3` may run it; the message is printed before code that requires a newer version."""
    code = "import sys, runpy; sys.version_info = (3, 9, 2)\nrunpy.run_module('hack.environment', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer is required" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_python_without_pip_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's python3 does not include pip."""
    bare = tmp_path / "python3"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(environment, "_PYTHON", str(bare))
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    with pytest.raises(environment.EnvironmentSetupError, match=r"has no pip.*apt-get install python3-pip"):
        environment.uv_program()


def test_the_installer_itself_comes_with_a_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It installs everything else; a changed lock downloads it again."""
    pip = tmp_path / "python3"
    pip.write_text(f"#!{sys.executable}\n{PIP}")
    pip.chmod(0o755)
    lock = tmp_path / "requirements-uv.lock"
    lock.write_text("uv==1 --hash=sha256:1")
    monkeypatch.setattr(environment, "_PYTHON", str(pip))
    monkeypatch.setattr(environment, "_UV_LOCK", lock)
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    program = environment.uv_program()
    assert "--require-hashes" in program.read_text()
    assert str(lock) in program.read_text()
    assert environment.uv_program() == program
    lock.write_text("uv==2 --hash=sha256:2")
    assert environment.uv_program() != program


PIP = """
import pathlib, sys
if "--target" in sys.argv:
    program = pathlib.Path(sys.argv[sys.argv.index("--target") + 1]) / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(" ".join(sys.argv))
"""


def test_the_stub_libraries_are_part_of_what_an_environment_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module that writes them: a changed module creates the environment again."""
    names = ("pyproject.toml", *environment.LOCKS["dev"], *(str(path.relative_to(ROOT)) for path in stub_modules()))
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(environment, "_create", lambda _name, folder: folder.mkdir(parents=True))
    folders = {environment.ensure("dev")}
    for name in names[1:]:
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        folders.add(environment.ensure("dev"))
    assert len(folders) == len(names)


def stub_modules() -> set[Path]:
    """Files of `cpu_server` that `cuda_stubs` imports."""
    code = "import sys, triton_operator.cpu_server.cuda_stubs\n"
    code += "print(*(module.__file__ for name, module in sys.modules.items() if 'cpu_server.' in name))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "operator", check=True, capture_output=True, text=True
    )
    return {Path(name) for name in done.stdout.split()}


def test_an_unknown_environment_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """With the valid names."""
    assert environment.main(["prod"]) == 2
    assert "demo|dev" in capsys.readouterr().err


def test_a_complete_environment_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete one is not: only the mark that is written last counts."""
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(_: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        made.append(folder)

    monkeypatch.setattr(environment, "_create", make)
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
    """The operator's image runs the tested versions."""
    pinned = [
        {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line.split(" ")[0]}
        for name in ("requirements.lock", "requirements-operator.lock", "requirements-demo.lock")
    ]
    everything, *parts = pinned
    assert all(part and part <= everything for part in parts)
