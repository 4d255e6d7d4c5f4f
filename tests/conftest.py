"""What every tier needs of the process that runs it."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C and a closed terminal reach programs under test: what is ignored here stays ignored in every child.

    A shell ignores SIGINT for what runs in its background, `nohup` SIGHUP, which this process goes on to outlive.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="module", autouse=True)
def _leaks_are_told_where_they_are() -> Iterator[None]:
    """Collect garbage after each module: a socket or file left open fails its own module, not a later one by chance."""
    yield
    gc.collect()
