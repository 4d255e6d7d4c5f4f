"""Run the tutorial's commands: from the reader's module to three replicas on the real node."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack import cluster as local
from hack.cluster.handle import RunningCluster
from tests.kube import Kube

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
ENGLISH, CHINESE = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tutorial.zh.md"
SERVE_HERE = "tritonctl run "
DONE_ELSEWHERE = ("pip install ", "make demo")
"""Commands that other tests run: installing the wheel, and the demo, whose node all tests share."""

Run = Callable[[str], str]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and text of each code block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def file_name(block: str) -> str:
    """Return the file name of a Python block; empty if the block is only run."""
    match = re.match(r"# (\S+\.py)\n", block)
    return match[1] if match else ""


def script(parts: list[tuple[str, str]]) -> str:
    """Return the commands of the blocks as one shell script."""
    lines: list[str] = []
    for language, text in parts:
        if language == "python" and not file_name(text):
            lines += ["python3 - <<'END_OF_PYTHON'", text, "END_OF_PYTHON"]
        elif language == "sh":
            lines += [line for line in text.splitlines() if not line.startswith(DONE_ELSEWHERE)]
    return "\n".join(lines)


@pytest.fixture
def workshop(
    node: RunningCluster, operator: str, in_namespace: Callable[[str], Kube], tmp_path: Path
) -> Iterator[Path]:
    """Create a folder with links to the checkout's files, so that the reader's files do not change the checkout."""
    del operator
    for entry in ROOT.iterdir():
        if not entry.name.startswith("."):
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copy(node.kubeconfig, tmp_path / "kubeconfig")
    yield tmp_path
    in_namespace("default").run("delete", "namespace", "moons", "--ignore-not-found", namespaced=False)


@pytest.fixture
def type_in(workshop: Path) -> Run:
    def run(text: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-xc", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{text}"],
            cwd=workshop,
            env=environment(workshop),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def environment(workshop: Path) -> dict[str, str]:
    """Return the variables that `make demo` tells the reader to export, and this Python for make."""
    path = f"{PROGRAMS}:{local.tools()}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return {**kept, "KUBECONFIG": str(workshop / "kubeconfig"), "PATH": path, "PYTHON": sys.executable}


def test_both_languages_show_the_same_commands() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)


@pytest.mark.timeout(600)
def test_every_step_works(workshop: Path, type_in: Run) -> None:
    parts = blocks(ENGLISH)
    for _, text in parts:
        if name := file_name(text):
            (workshop / name).write_text(text)
    at = next(index for index, (_, text) in enumerate(parts) if text.startswith(SERVE_HERE))
    assert "accuracy on 1,000 test points: " in type_in(script(parts[:at]))
    with subprocess.Popen(
        parts[at][1].split(),
        cwd=workshop,
        env=environment(workshop),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout
        outputs = []
        for line in server.stdout:
            outputs.append(line)
            if "127.0.0.1:8000" in line:
                break
        assert server.poll() is None, "".join(outputs)
        assert "probabilities" in type_in(script(parts[at + 1 : at + 2]))
        server.send_signal(signal.SIGINT)
        server.stdout.read()
    shown = type_in(script(parts[at + 2 :]))
    assert "Ready" in shown
    assert "PrivacyEnforced" in shown
