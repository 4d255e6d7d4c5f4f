"""Render the chart with Helm, without a cluster.

`render` returns the objects for a scenario of `ci/` or for given values. `refuse` returns Helm's error for invalid
values. Each rendering takes 0.1 s, and each scenario of `ci/` is rendered only once.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.programs.catalogue import tools
from tests.programs import build_before_tests

CHART = Path(__file__).parents[2] / "charts" / "triton-operator"
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "triton-operator-system"

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build Helm and kind if they are missing."""
    build_before_tests(session, Path(__file__).parent, "helm", "kind")


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Helm."""
    program = tools("helm") / "helm"

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], input=stdin, text=True, capture_output=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """Render a scenario, or values given by keyword."""

    @functools.cache
    def scenario(name: str) -> str:
        return _template(helm, "--values", str(CHART / "ci" / f"{name}-values.yaml"))

    def objects(name: str = "default", **values: Any) -> list[Manifest]:
        text = _template(helm, "--values", "-", stdin=yaml.safe_dump(values)) if values else scenario(name)
        return [document for document in yaml.safe_load_all(text) if document]

    return objects


@pytest.fixture(scope="session")
def refuse(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """Return Helm's error for values that it must reject."""

    def words(**values: Any) -> str:
        done = helm("template", "triton-operator", str(CHART), "--values", "-", stdin=yaml.safe_dump(values))
        assert done.returncode != 0, done.stdout
        return done.stderr

    return words


def _template(helm: Callable[..., subprocess.CompletedProcess[str]], *options: str, stdin: str = "") -> str:
    arguments = ("template", "triton-operator", str(CHART), "--namespace", NAMESPACE, "--kube-version", "1.36.0")
    done = helm(*arguments, *options, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def one(objects: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """Return the only object of `kind`, and of `name` if given."""
    matching = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(matching) == 1, [(each["kind"], each["metadata"]["name"]) for each in objects]
    return matching[0]
