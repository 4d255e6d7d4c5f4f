"""Untrusted names and messages reach a terminal and the log of a CI system as text, never as commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.archives import an_archive, write
from tests.fake_cluster import FakeCluster
from tests.privacy_reports import a_private_body, a_serving_pod
from tests.tritonctl import tritonctl
from triton_operator.cli.terminal.output import to_yaml
from triton_operator.triton.server.log import LoadFailure, last_lines, read_server

HOSTILE = "x\x1b]0;owned\x07\x9b2J\u202eyq\r\n::error file=a::forged"
SHOWN = r"x\x1b]0;owned\x07\x9b2J\u202eyq"
STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def a_failed_deployment(words: str) -> dict[str, Any]:
    """A deployment whose status consists of untrusted words."""
    return {
        "metadata": {"name": "digits", "namespace": "models", "generation": 1},
        "spec": {"models": [{"name": "digits"}]},
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "False", "reason": "Crashed", "message": words}],
            "models": [{"name": "digits", "state": "Failed", "versions": ["1"], "message": words}],
            "lastFailure": {"pod": "p", "container": "triton", "reason": "Crashed", "message": words},
        },
    }


DEPLOYMENT = a_failed_deployment(HOSTILE)
POD = {
    "kind": "Pod",
    "metadata": {"name": "digits-a", "uid": "a"},
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {"name": "triton", "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": HOSTILE}}}
        ],
    },
}


COMMAND = re.compile(r"^\s*::[a-z-]+( .*)?::|##[a-z]*\[", re.MULTILINE)
"""What GitHub Actions and Azure Pipelines execute: `::` at the start of a line, `##` anywhere."""
FORGED = [
    "::error file=a::forged",
    "see ##[add-mask]a and ##vso[task.complete]b",
    "x\n::stop-commands::forged",
    "x\n  ::error::forged",
    "word " * 24 + "::error::forged, where YAML wraps",
    "y" * 400 + " ::error::forged, where tables wrap",
    *("z" * length + "::error::forged" for length in range(140, 200, 7)),
]


def is_safe(text: str) -> bool:
    return not STEERS.search(text) and not COMMAND.search(text)


@pytest.mark.parametrize("arguments", [(), ("-o", "json"), ("-o", "yaml")])
def test_a_status_is_text_in_every_format(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    cluster.answer(DEPLOYMENT, [POD])
    outcome = tritonctl(capsys, "status", "digits", *arguments)
    assert outcome.code == 1
    assert is_safe(outcome.out + outcome.err)
    if not arguments:
        assert SHOWN in outcome.out
        return
    read = json.loads(outcome.out) if "json" in arguments else yaml.safe_load(outcome.out)
    assert read["message"] == HOSTILE, "a program reads the very text"


@pytest.mark.parametrize("form", ["table", "json", "html"])
def test_a_privacy_report_is_text_in_every_format(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    body = a_private_body(enforced=False)
    body["status"]["privacy"]["controls"][0]["message"] = HOSTILE
    pod = a_serving_pod("digits-1")
    pod["spec"]["containers"][0]["image"] = HOSTILE
    cluster.answer(body, [pod])
    outcome = tritonctl(capsys, "privacy", "digits", "-o", form)
    assert outcome.code == 1
    assert is_safe(outcome.out + outcome.err)
    if form == "json":
        assert json.loads(outcome.out)["controls"][0]["message"] == HOSTILE, "a program reads the very text"
    else:
        assert outcome.out.count(SHOWN) == 2


@pytest.mark.parametrize("words", FORGED)
@pytest.mark.parametrize("arguments", [(), ("-o", "json"), ("-o", "yaml")])
def test_a_status_forges_no_command_of_a_ci_system(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    """Without any control character, and where long text is wrapped."""
    cluster.answer(a_failed_deployment(words), [POD])
    outcome = tritonctl(capsys, "status", "digits", *arguments)
    assert outcome.code == 1
    assert "forged" in outcome.out or "add-mask" in outcome.out
    assert is_safe(outcome.out + outcome.err)
    if arguments:
        read = json.loads(outcome.out) if "json" in arguments else yaml.safe_load(outcome.out)
        assert read["message"] == words, "a program reads the very text"


@pytest.mark.parametrize("words", ["a##b", "## [x]", "## Title", "a ::b"])
def test_yaml_of_other_text_stays_readable(words: str) -> None:
    assert yaml.safe_load(to_yaml([{"a": words, "b": "\x1b##[x]"}]))["a"] == words
    assert "\\x23" not in to_yaml([{"a": words}])


@pytest.mark.parametrize("name", ["::error file=a::forged", "##[add-mask]a"])
def test_names_of_folders_are_no_commands_of_a_ci_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A relative path is printed as it is."""
    write(tmp_path / name / "1" / "model.pt", b"")
    monkeypatch.chdir(tmp_path)
    outcome = tritonctl(capsys, "lint", ".")
    assert outcome.code == 1
    assert "is not a valid model name" in outcome.out
    assert is_safe(outcome.out + outcome.err)


def test_a_log_line_is_text(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    running = {"state": {"running": {}}, "name": "triton", "containerID": "t"}
    cluster.answer(DEPLOYMENT, [{**POD, "status": {"containerStatuses": [running]}}])
    cluster.log("digits-a", "triton", "::stop-commands::x\na\tb \x1b[31mred\u202e\n")
    outcome = tritonctl(capsys, "logs", "digits")
    assert outcome.out.splitlines() == [":\\x3astop-commands::x", "a       b \\x1b[31mred\\u202e"]


def test_findings_of_lint_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = an_archive(("constants.pkl", b"\x80\x02)."), (f"code/{HOSTILE}.py", b"torch.save(x, 'y')\n"))
    write(tmp_path / HOSTILE.replace("/", "") / "1" / "model.pt", program)
    outcome = tritonctl(capsys, "lint", tmp_path)
    assert outcome.code == 1
    assert is_safe(outcome.out + outcome.err)
    assert "writes a file" in outcome.out
    assert SHOWN in outcome.out


def test_an_error_about_a_file_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = tritonctl(capsys, "lint", tmp_path / HOSTILE)
    assert outcome.code == 2
    assert is_safe(outcome.err)
    assert SHOWN in outcome.err


def test_words_of_a_servers_log_are_text() -> None:
    line = "E1122 10:34:27.715872 7 model_lifecycle.cc:642] \"failed to load 'a\\u001bb' version 3: no \\u202eway\"\n"
    assert read_server(line) == [LoadFailure(r"a\x1bb", "3", r"no \u202eway")]
    assert last_lines("one \x1b[2J\ntwo") == r"one \x1b[2J / two"
