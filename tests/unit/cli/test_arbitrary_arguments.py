"""No command line and no response of a cluster crashes `tritonctl`: it always ends with a message and an exit status.

Command lines are generated from each command's options and from typical arguments, files from typical content, and
kubectl's output from possible responses of a proxy, an old server or a broken connection.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command

from tests.tritonctl import tritonctl
from triton_operator.cli.app import app
from triton_operator.cli.commands import load

COMMANDS = ("render", "lint", "status", "infer", "logs", "top", "bench", "doctor", "completion")
ENDLESS = {"--watch", "-w", "--follow", "-f", "--wait"}
"""Options that wait for what does not come here."""
DEPLOYMENT = {
    "metadata": {"name": "digits", "namespace": "models"},
    "spec": {"models": [{"name": "digits"}, {"name": "words"}]},
}
POD = {"metadata": {"name": "digits-a", "uid": "u"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
ANSWERS = (
    "",
    "<html>login</html>",
    "null",
    "[]",
    '{"items": null}',
    '{"kind": "List", "items": []}',
    '{"kind": "Status", "status": "Failure"}',
    json.dumps(DEPLOYMENT)[:-20],
    json.dumps(DEPLOYMENT),
    json.dumps({"kind": "List", "items": [DEPLOYMENT]}),
    json.dumps({"kind": "List", "items": [POD]}),
    json.dumps({"serverVersion": {}, "clientVersion": {}}),
)
COMPLAINTS = (
    "",
    "Error from server (Forbidden): no\n",
    "Unable to connect to the server: EOF\n",
    "error: \x00\n",
    "\n",
)
FILES = {
    "empty": b"",
    "a.json": b'{"inputs": [{"name": "x"}]}',
    "b.json": b"{",
    "a.csv": b"a,b\n1\n",
    "a.png": b"\x89PNG\r\n\x1a\nnothing",
    "a.yaml": b"kind: ModelDeployment\nspec: [1]\n",
    "b.yaml": b"a: [\n",
    "c.yaml": b"kind: ModelDeployment\napiVersion: triton-operator.io/v1alpha1\nmetadata: {name: x}\nspec: {models: 5}",
    "bytes": bytes(range(256)),
    "config.pbtxt": b"input { name: ",
}
TYPED = (
    "digits",
    "",
    "-",
    ".",
    "absent",
    "-1",
    "0",
    "1e9",
    "nan",
    "json",
    "127.0.0.1:1",
    "https://x",
    "我爱你",
    "\n",
    *FILES,
)


def options(command: str) -> list[str]:
    """The options of the command, except those that wait."""
    return [
        name for param in load(command).params for name in param.opts if name.startswith("-") and name not in ENDLESS
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of all kinds, and a kubectl whose output the test sets."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    program = tmp_path / "kubectl"
    program.write_text(
        f'#!/bin/sh\ncat "{tmp_path}/says" 2>/dev/null\ncat "{tmp_path}/complains" >&2\nexit $(cat "{tmp_path}/ends")\n'
    )
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr("time.sleep", lambda _: None)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_command_line_ends_with_a_message(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, data: Any
) -> None:
    """The exit status is 0 to 3; `run` re-raises every other exception, which fails this test."""
    (folder / "says").write_text(data.draw(st.sampled_from(ANSWERS), "kubectl says"))
    (folder / "complains").write_text(data.draw(st.sampled_from(COMPLAINTS), "kubectl complains"))
    (folder / "ends").write_text(data.draw(st.sampled_from("001"), "kubectl ends with"))
    words = st.lists(st.sampled_from([*options(command), *TYPED]), max_size=5)
    fixed = {
        "top": ["--once", "--interval=0.2"],
        "bench": ["-d=0.5", "--warm-up=0", "--timeout=1"],
        "infer": ["--timeout=2"],
    }
    outcome = tritonctl(capsys, command, *fixed.get(command, []), *data.draw(words, "words"))
    assert outcome.code in {0, 1, 2, 3}
    assert outcome.code == 0 or outcome.err


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text(max_size=5), max_size=3))
def test_any_words_end_with_a_message(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Including words that are not commands."""
    assert tritonctl(capsys, *words).code in {0, 2}


def test_the_generated_commands_exist() -> None:
    """Add a new command that reads files or a cluster to the list."""
    assert set(COMMANDS) <= set(get_command(app).commands)  # type: ignore[attr-defined]  # It is a group.
