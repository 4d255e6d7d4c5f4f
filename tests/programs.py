"""Builds the programs and images that a tier of tests needs, before the first test's clock runs.

Called by the conftest of a tier from `pytest_collection_finish`. On a new machine this takes minutes, which no test's
time limit allows for, and shows progress, which pytest would otherwise keep to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hack.cluster.programs import tools
from hack.images import build


def build_before_tests(session: pytest.Session, folder: Path, *names: str, images: Sequence[str] = ()) -> None:
    """Make programs (all of them without `names`) and images available if any test of `folder` is about to run."""
    if session.config.option.collectonly or not any(item.path.is_relative_to(folder) for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        tools(*names)
        if images:
            build(*images)
