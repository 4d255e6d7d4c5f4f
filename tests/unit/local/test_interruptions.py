"""A process that is started for the user ends with its block, whenever an interruption arrives."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from triton_operator.local.interruptions import running_process

WAITS = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]


def is_there(pid: int) -> bool:
    """Whether the process runs, or is a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_interruption_in_the_middle_of_the_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process exists, but its ID is not known yet."""
    begun: list[int] = []

    class Interrupted(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            begun.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), running_process(WAITS, os.environ):
        pytest.fail("the interruption is older than the block")
    assert not is_there(begun[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_end_of_the_block_ends_the_process_with_all_that_it_started() -> None:
    """That is, its process group; a pidfd becomes readable when the process has exited."""
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    with running_process([sys.executable, "-c", parent, *WAITS], os.environ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        child = os.pidfd_open(int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()))
    assert not is_there(process.pid)
    ended, _, _ = select.select([child], [], [], 10)
    os.close(child)
    assert ended


def test_a_process_that_ended_has_said_what_it_said() -> None:
    with running_process([sys.executable, "-c", "print(1); raise SystemExit(3)"], os.environ) as process:
        assert process.communicate()[0] == "1\n"
    assert process.returncode == 3
