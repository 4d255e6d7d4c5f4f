"""Run `tritonctl` and return its output: in the test's process, or as a program that is interrupted."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from triton_operator.cli.app import run


class Outcome(NamedTuple):
    """Exit status, standard output, standard error."""

    code: int
    out: str
    err: str


def tritonctl(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run the command with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tritonctl", *map(str, arguments)])
        code = run()
    return Outcome(code, *capsys.readouterr())


def run_until(command: list[str], reader: int, writer: int, expected: str) -> tuple[str, int]:
    """Run a program until it has written `expected`, send Ctrl-C, and return its output and exit status.

    `reader` and `writer` are the ends of a pipe or a terminal. Fails if a child of the program is still running.
    """
    text = b""
    with subprocess.Popen(command, stdout=writer, stderr=writer, process_group=0) as process:
        os.close(writer)
        end = time.monotonic() + 180
        try:
            while expected.encode() not in text:
                assert time.monotonic() < end, text.decode()
                if select.select([reader], [], [], 0.2)[0]:
                    text += os.read(reader, 1 << 16)
        finally:
            os.kill(process.pid, signal.SIGINT)
            code = process.wait(timeout=180)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    os.close(reader)
    return text.decode(), code
