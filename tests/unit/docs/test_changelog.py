"""`towncrier` accepts every news fragment and shows its text."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.paths import ROOT

FRAGMENTS = sorted(set((ROOT / "changelog.d").glob("*.md")) - {ROOT / "changelog.d" / "README.md"})


def test_the_draft_has_every_fragment() -> None:
    """A fragment with an unknown type would be skipped without an error."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "1.2.3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "## 1.2.3 (" in done.stdout
    shown = " ".join(done.stdout.split())
    assert [path.name for path in FRAGMENTS if " ".join(path.read_text().split()) not in shown] == []


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_has_a_topic_a_type_and_valid_links(path: Path) -> None:
    """Links are relative to the root, where CHANGELOG.md is."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    types = [each["directory"] for each in config["tool"]["towncrier"]["type"]]
    assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(types)})\.md", path.name)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
