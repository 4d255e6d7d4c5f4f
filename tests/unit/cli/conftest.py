"""`cluster`: an API server on loopback for the commands, and a kubectl that forwards what a test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_cluster import FakeCluster


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster that has nothing yet."""
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        yield cluster
