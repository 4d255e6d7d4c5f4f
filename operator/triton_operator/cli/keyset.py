"""The keys of encrypted models, from a file, from a vault, or entered at the terminal.

Input: a path, the options for a vault, or what the user pastes. Output: a Keyset, or UsageError. `encrypt`, `decrypt`
and `run` call it.
"""

from __future__ import annotations

import json
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from triton_operator.cli.failures import UsageError

if TYPE_CHECKING:
    from triton_operator.cli.vault_options import VaultOptions
    from triton_operator.encryption.keyset import Keyset, KeysetOf

PROMPT = "Keys of the models (paste the content of the keyset file; it is not shown): "
_END = b"\x04"
"""Ctrl-D."""
_LOCAL_FLAGS = 3
"""Index of the flags for echo and lines in the attributes of a terminal."""


def open_keyset(file: Path) -> Keyset:
    """Read a file with keys; raises UsageError."""
    from triton_operator.encryption.errors import KeysetError
    from triton_operator.encryption.keyset import read_keyset_file

    try:
        return read_keyset_file(file, f"--key: {file}")
    except OSError as error:
        raise UsageError(f"--key: {file} cannot be read: {error.strerror}") from error
    except KeysetError as error:
        raise UsageError(str(error)) from error


def open_keysets(file: Path | None, options: VaultOptions) -> KeysetOf:
    """Return a function that finds a model's keyset, in the file or, without one, in the vault; raises UsageError."""
    if file is None:
        return options.open().open_keyset
    keyset = open_keyset(file)
    return lambda _: keyset


def enter_keyset() -> Keyset:
    """Read keys that the user pastes at the terminal, without showing them; raises UsageError."""
    from triton_operator.encryption.errors import KeysetError
    from triton_operator.encryption.keyset import MAX_BYTES, read_keyset

    terminal = sys.stdin.fileno()
    content = b""
    try:
        with _silent(terminal):
            typer.echo(PROMPT, nl=False, err=True)
            while not is_complete(content) and len(content) <= MAX_BYTES:
                piece = os.read(terminal, 4096)
                content += piece.partition(_END)[0]
                if not piece or _END in piece:
                    break
    finally:
        typer.echo(err=True)
    try:
        return read_keyset(content, "the text that was entered")
    except KeysetError as error:
        raise UsageError(str(error)) from error


def is_complete(content: bytes) -> bool:
    """Whether the input is complete: it is a JSON object, or a line that cannot begin one."""
    text = content.decode(errors="replace").lstrip()
    if text.startswith("{"):
        try:
            json.JSONDecoder().raw_decode(text)
        except ValueError:
            return text.endswith("\n\n")
        return True
    return "\n" in text


@contextmanager
def _silent(terminal: int) -> Iterator[None]:
    """Show no input, and deliver it without waiting for a line, whose length a terminal limits to 4,095 bytes."""
    before = termios.tcgetattr(terminal)
    silent = termios.tcgetattr(terminal)
    silent[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)  # Discards the rest of a pasted text.
