"""What every tier needs of the process that runs it."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C reach programs under test: a shell starts what runs in its background with SIGINT ignored.

    An ignored signal stays ignored in every child, so `tritonctl logs -f` would never end there.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _leaks_are_told_where_they_are() -> Iterator[None]:
    """Collect garbage after each module: a socket or file left open fails its own module, not a later one by chance."""
    yield
    gc.collect()
