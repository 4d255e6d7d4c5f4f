"""A program called kubectl that forwards no port but says so, for tests of how it is run and read.

`FakeKubectl.install` puts it first on PATH, so that a test sees a real child process, its exit status and its streams.
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
    """The answers lie in `folder`; what was asked is in its file `calls`."""

    folder: Path

    @classmethod
    def install(cls, folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
        """Put the program first on PATH; it knows no answer yet."""
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        return cls(folder)

    def forward(self, address: str) -> None:
        """Make `port-forward` print that it forwards this address."""
        (self.folder / "port-forward").write_text(f"Forwarding from {address} -> 8000\n")

    def fail(self, stderr: str) -> None:
        """Make `port-forward` end with this message."""
        (self.folder / "port-forward.stderr").write_text(stderr)

    @property
    def calls(self) -> list[str]:
        """Every command line so far."""
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []
