"""`cluster`: an API server on loopback for the commands, and a kubectl that reports the ports a test sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_cluster import FakeCluster


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """An empty cluster."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        yield cluster
