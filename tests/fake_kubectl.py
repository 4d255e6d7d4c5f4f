"""A program called kubectl that answers from files, for tests of what we run and how we read it.

`FakeKubectl.install` puts it first on PATH. An answer is chosen by the first word of the command line (`get` also by
the kind), so that a test sees the real child process, its exit status and its two streams.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = """#!{python}
import json, os, pathlib, signal, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
words = sys.argv[1:]
verb = next((word for word in words if word in ("get", "port-forward", "logs", "version", "config", "create")), "")
rest = words[words.index(verb) + 1 :] if verb else []
if verb == "get":
    kind = "children" if "," in rest[0] else rest[0].split(".")[0]
    if rest[0] == "--raw":
        kind = rest[1].rsplit("/apis/")[-1].split("/")[0]
    name = "-".join(["get", kind] + ["watch"] * ("--watch" in words))
elif verb == "logs":
    name = "-".join(["logs", rest[0], rest[rest.index("-c") + 1]])
else:
    name = verb
if (folder / (name + ".stderr")).exists():
    sys.stderr.write((folder / (name + ".stderr")).read_text())
    sys.exit(1)
text = (folder / name).read_text()
if "--output-watch-events" in words:
    objects = [json.loads(each) for each in text.split("\\n}}\\n") if each for each in [each + "}}"]]
    events = [each if "object" in each else {{"type": "MODIFIED", "object": each}} for each in objects]
    text = "".join(json.dumps(each) + "\\n" for each in events)
sys.stdout.write(text)
sys.stdout.flush()
if {{"port-forward", "--watch", "--follow"}} & set(words):
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

    def answer(self, deployment: dict[str, Any], pods: list[dict[str, Any]] | None = None) -> None:
        """Make `get` return this ModelDeployment, and these pods as all that belongs to it."""
        (self.folder / "get-modeldeployments").write_text(json.dumps(deployment))
        (self.folder / "get-pods").write_text(json.dumps({"items": pods or []}))
        self.children(*(pods or []))

    def children(self, *objects: dict[str, Any]) -> None:
        """Make `get` of several kinds at once return these."""
        (self.folder / "get-children").write_text(json.dumps({"kind": "List", "items": objects}))

    def watch(self, *deployments: dict[str, Any]) -> None:
        """Make a watch deliver these, one after the other, and then stay open."""
        text = "".join(json.dumps(deployment, indent=4) + "\n" for deployment in deployments)
        (self.folder / "get-modeldeployments-watch").write_text(text)

    def forward(self, address: str) -> None:
        """Make `port-forward` say that it forwards this address."""
        (self.folder / "port-forward").write_text(f"Forwarding from {address} -> 8000\n")

    def write(self, answer: str, text: str) -> None:
        """Make `answer`, such as `get-nodes` or `logs-POD-CONTAINER`, print this text."""
        (self.folder / answer).write_text(text)

    def fail(self, answer: str, stderr: str) -> None:
        """Make `answer`, such as `get-modeldeployments` or `port-forward`, end with this complaint."""
        (self.folder / f"{answer}.stderr").write_text(stderr)

    @property
    def calls(self) -> list[str]:
        """Every command line so far."""
        return (self.folder / "calls").read_text().splitlines()
