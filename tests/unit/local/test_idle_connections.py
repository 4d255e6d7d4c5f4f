"""Idle connections of another process are closed, all others are not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from triton_operator.local.idle_connections import close_idle_connections, first_child, is_idle

SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
kept = []
while True:
    connection, _ = listener.accept()
    kept.append(connection)
    if connection.recv(1) == b"a":
        connection.sendall(b"answer")
"""


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """A process that answers only requests that begin with `a`: its ID and its port."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def test_only_a_connection_that_was_answered_is_closed(server: tuple[int, int]) -> None:
    """A connection with a request in flight stays open, and so does one at another port."""
    pid, port = server
    with ExitStack() as stack:
        answered, waiting = (stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(2))
        answered.sendall(b"a")
        assert answered.recv(6) == b"answer"
        waiting.sendall(b"b")
        close_idle_connections(pid, port + 1)
        answered.settimeout(0.2)
        closed = False
        for _ in range(200):  # It has to be silent for a second.
            close_idle_connections(pid, port)
            try:
                closed = answered.recv(1) == b""
                break
            except TimeoutError:
                continue
        assert closed
        waiting.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiting.recv(1)


@pytest.mark.parametrize(
    ("since_sent", "since_received", "received", "segments_sent", "idle"),
    [
        (1200, 1300, 90, 1, True),
        (900, 1300, 90, 1, False),
        (1300, 1200, 180, 1, False),  # The next request is in flight.
        (4000, 4000, 180, 1, False),  # Perhaps so is this one's.
        (5000, 5000, 180, 1, True),
        (9000, 9000, 90, 0, False),  # Nothing was answered yet.
        (9000, 9000, 0, 0, True),  # Nothing was asked yet.
    ],
)
def test_a_connection_is_idle_if_the_server_sent_last(
    since_sent: int, since_received: int, received: int, segments_sent: int, *, idle: bool
) -> None:
    """For a second, or for longer if the order is unknown."""
    assert is_idle(since_sent, since_received, received, segments_sent) is idle


def test_a_process_that_is_gone_has_neither_child_nor_connections() -> None:
    """It may exit at any time."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert first_child(process.pid) is None
    close_idle_connections(process.pid, 8000)


def test_the_first_child_of_a_process_is_found() -> None:
    """For example, that of this process."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert first_child(os.getpid()) is not None
        assert first_child(process.pid) is None
        process.kill()
