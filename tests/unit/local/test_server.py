"""Errors of a server on this machine that exits before it is ready."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_deployment
from triton_operator.api.spec import Spec
from triton_operator.cli.run.command import _started
from triton_operator.local.environment import Environment
from triton_operator.local.errors import LocalError, PortTakenError
from triton_operator.local.models import StagedModels
from triton_operator.local.ports import Ports, choose_ports
from triton_operator.local.server import running_server

NOT_VALID = (
    'E1129 16:51:56.443 7 model_repository_manager.cc:703] "Invalid argument: in ensemble tagger, input C in model s '
    'is not mapped to any ensemble tensors"'
)
ALL_FAILED = "error: creating server: Internal - failed to load all models"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([NOT_VALID, ALL_FAILED], 'model "tagger": in ensemble tagger, input C in model s is not mapped'),
        (["something unknown about it", ALL_FAILED], "something unknown about it"),
    ],
)
def test_a_failed_start_has_its_reason_and_no_pod(log: list[str], words: str) -> None:
    """The log is not shown otherwise, so unrecognised errors are quoted."""
    command = ["/bin/sh", "-c", "".join(f"echo '{line}'\n" for line in log) + "exit 1"]
    with running_server(command, os.environ, Ports(1, 2, 3), print) as server, pytest.raises(LocalError) as failed:
        server.wait_ready(60)
    assert words in str(failed.value)
    assert "pod" not in str(failed.value)


def test_a_lost_port_is_reported_with_its_number() -> None:
    """And with Triton's message."""
    line = "failed to start Metrics service: Unavailable - Socket '127.0.0.1:8002' already in use"
    command = ["/bin/sh", "-c", f'echo "error: {line}"; exit 1']
    with (
        running_server(command, os.environ, Ports(1, 2, 8002), print) as server,
        pytest.raises(PortTakenError) as failed,
    ):
        server.wait_ready(60)
    assert failed.value.port == 8002
    assert line in str(failed.value)


def test_another_server_at_the_port_is_not_taken_for_this_one() -> None:
    """The other server is ready, and this one is not."""
    other, ports = a_server("other"), choose_ports()
    mute = ["/bin/sh", "-c", "sleep 60", "--id=run-1"]
    with running_server(other(ports), os.environ, ports, print) as first:
        first.wait_ready(60)
        with running_server(mute, os.environ, ports, print) as second, pytest.raises(LocalError, match="within 1 s"):
            second.wait_ready(1)


def test_a_start_that_loses_a_port_is_repeated_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the port was not requested; a requested port is reported instead."""
    starts: list[Ports] = []

    def command(_: Spec, context: tuple[Environment, Path, Ports], __: StagedModels) -> list[str]:
        ports = context[2]
        starts.append(ports)
        if len(starts) == 1:
            return ["/bin/sh", "-c", f"echo \"error: Socket '127.0.0.1:{ports.metrics}' already in use\"; exit 1"]
        words: list[str] = a_server("run")(ports)
        return words

    monkeypatch.setattr("triton_operator.local.command.server_command", command)
    spec, staged = a_deployment().spec, StagedModels(tmp_path, ())
    environment = Environment(tmp_path)
    with _started(spec, environment, tmp_path, staged, (0, 0, 0), verbose=False) as (_, ports):
        assert ports == starts[1]
    assert f"port {starts[0].metrics} was taken by another program" in capsys.readouterr().err
    starts.clear()
    requested = (0, 0, choose_ports().metrics)
    with (
        pytest.raises(PortTakenError),
        _started(spec, environment, tmp_path, staged, requested, verbose=False),
    ):
        pass
    assert len(starts) == 1


def a_server(name: str) -> Any:
    """The command of a program that responds on its ports like Triton, for a choice of ports."""
    return lambda ports: [sys.executable, "-c", ANSWERING, str(ports.http), str(ports.metrics), f"--id={name}"]


ANSWERING = """
import http.server, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[3].encode())
    def log_message(self, *_):
        pass

for port in sys.argv[1:3]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    threading.Thread(target=server.serve_forever).start()
"""
