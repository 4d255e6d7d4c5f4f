"""A fake kubectl that reports a forwarded port without forwarding it, for tests of the code that runs kubectl.

`FakeKubectl.install` puts it first on PATH, so that a test has a real child process with an exit status and streams.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_PROGRAM = """#!{python}
import pathlib, signal, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
assert "port-forward" in sys.argv, "kubectl is used for nothing else"
if (folder / "port-forward.stderr").exists():
    sys.stderr.write((folder / "port-forward.stderr").read_text())
    sys.exit(1)
sys.stdout.write((folder / "port-forward").read_text())
sys.stdout.flush()
signal.pause()
"""


@dataclass
class FakeKubectl:
    """`folder` contains the outputs of the program, and the file `calls` with its command lines."""

    folder: Path

    @classmethod
    def install(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
        """Put the program first on PATH, without outputs."""
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        return cls(folder)

    def forward(self, address: str) -> None:
        """Make `port-forward` report that it forwards this address."""
        (self.folder / "port-forward").write_text(f"Forwarding from {address} -> 8000\n")

    def fail(self, stderr: str) -> None:
        """Make `port-forward` fail with this message."""
        (self.folder / "port-forward.stderr").write_text(stderr)

    @property
    def calls(self) -> list[str]:
        """All command lines so far."""
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []
