"""Build the programs and images that a tier needs before the first test starts.

The conftest of a tier calls it from `pytest_collection_finish`. On a new machine, this takes minutes, which exceeds the
time limit of a test, and prints progress, which pytest would capture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hack.images import build
from hack.programs.catalogue import tools


def build_before_tests(
    session: pytest.Session,
    folder: Path,
    *names: str,
    images: Sequence[str] = (),
    others: Sequence[Callable[[], object]] = (),
) -> None:
    """Build programs (all if `names` is empty) and images, if the session includes a test of `folder`.

    `others` provide what only these tests need.
    """
    if session.config.option.collectonly or not any(item.path.is_relative_to(folder) for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        tools(*names)
        for provide in others:
            provide()
        if images:
            build(*images)
