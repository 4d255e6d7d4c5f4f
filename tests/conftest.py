"""Settings of the test process that all tiers need."""

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
# torch's threads wait in a busy loop. With another process on each core, tests took thirty times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_configure() -> None:
    """Restore SIGINT and SIGHUP, because programs under test inherit ignored signals.

    A shell ignores SIGINT for background jobs. `nohup` ignores SIGHUP, which this process continues to do.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="module", autouse=True)
def _report_leaks_in_their_own_module() -> Iterator[None]:
    """Collect garbage after each module, so that an unclosed socket or file fails that module and not a later one."""
    yield
    gc.collect()
