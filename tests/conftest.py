"""What every tier needs of the process that runs it."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach programs under test: a shell starts what runs in its background with SIGINT ignored.

    An ignored signal stays ignored in every child, so `tritonctl logs -f` would never end there.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
