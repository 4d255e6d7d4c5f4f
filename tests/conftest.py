"""What every tier needs of the process that runs it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")
# torch's threads wait for each other spinning. With another process on each core, tests took thirty times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
