"""Keys of encrypted models that are entered at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from triton_operator.cli.keyset import PROMPT, is_complete
from triton_operator.encryption.keyset import create_keyset

ENTERING = """
from triton_operator.cli.failures import UsageError
from triton_operator.cli.keyset import enter_keyset
try:
    print("keys:", enter_keyset().ids)
except UsageError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("content", [b"{}", b'\n {"a": "}"}\n', b"text\n", b'{"a": \n\n', b"schl\xfcssel\n"])
def test_a_whole_object_or_a_line_of_other_text_is_complete(content: bytes) -> None:
    assert is_complete(content)


@pytest.mark.parametrize("content", [b"", b"\n", b"{", b'{\n  "a": "}"\n', b"text"])
def test_more_may_follow_an_unfinished_object_or_line(content: bytes) -> None:
    assert not is_complete(content)


def enter(content: bytes) -> str:
    """Paste this into a terminal whose program reads keys; returns what the terminal shows."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    command = [sys.executable, "-c", ENTERING]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process:
        shown = ""
        while PROMPT not in shown:
            shown += os.read(master, 4096).decode()
        os.write(master, content)
        assert process.wait(60) == 0
        shown += os.read(master, 4096).decode()
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    os.close(master)
    return shown


@pytest.mark.parametrize("indent", [None, 2], ids=["one line longer than terminals allow", "many lines"])
def test_pasted_keys_are_read_and_not_shown(tmp_path: Path, indent: int | None) -> None:
    create_keyset(tmp_path / "keys.json")
    keyset = json.loads((tmp_path / "keys.json").read_text())
    (key,) = keyset["key"]
    others = [key | {"keyId": number} for number in range(1, 20)]
    content = json.dumps(keyset | {"key": [key, *others]}, indent=indent).encode()
    assert indent or len(content) > 4096
    shown = enter(content + b"\n")
    assert f"keys: ({key['keyId']}, 1, 2," in shown
    assert key["keyData"]["value"] not in shown


@pytest.mark.parametrize("content", [b"hunter2\n", b'{"hunter2": \n\n', b"hunter2\x04", b"\x04"])
def test_other_text_is_refused_and_not_shown(content: bytes) -> None:
    shown = enter(content)
    assert "refused: the text that was entered is not a keyset of tritonctl encrypt --create-key" in shown
    assert "hunter2" not in shown
