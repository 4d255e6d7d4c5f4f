"""Which folders a search of the processes of a pod goes through while some of them end."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.kept_data import whole_roots


def a_process(proc: Path, number: int, namespace: str) -> Path:
    process = proc / str(number)
    (process / "ns").mkdir(parents=True)
    (process / "ns" / "mnt").symlink_to(f"mnt:[{namespace}]")
    return process


def test_each_mount_namespace_is_searched_once_through_a_process_that_remains(tmp_path: Path) -> None:
    """The first process has ended before the search, and the second ends during it."""
    ended, second, third, fourth = (a_process(tmp_path, number, "one") for number in range(1, 5))
    other = a_process(tmp_path, 5, "two")
    shutil.rmtree(ended)
    roots = whole_roots([ended, second, third, fourth, other])
    assert next(roots) == second / "root"
    shutil.rmtree(second)
    assert list(roots) == [third / "root", other / "root"]


def test_a_number_that_another_process_has_taken_counts_as_ended(tmp_path: Path) -> None:
    first, second = (a_process(tmp_path, number, "one") for number in (1, 2))
    roots = whole_roots([first, second])
    assert next(roots) == first / "root"
    shutil.rmtree(first)
    a_process(tmp_path, 1, "two")
    assert list(roots) == [second / "root"]
