"""kind itself accepts kind-config.yaml, as it is and as the tooling completes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import kind, kindcheck


@pytest.fixture
def config() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(kind.CONFIG.read_text())
    return read


def test_kind_accepts_the_configuration_in_the_repository() -> None:
    assert kindcheck.objection(kind.CONFIG) is None


def test_kind_accepts_the_configuration_with_the_shared_folder(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(kind.with_share(config, tmp_path / "share")))

    assert kindcheck.objection(path) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nodes": [{"role": "control-plane", "imgae": "x"}]}, "imgae"),
        ({"nodes": [{"role": "captain"}]}, "captain"),
        ({"networking": {"podSubnet": "no-network"}}, "invalid pod subnet"),
    ],
)
def test_kind_refuses_a_mistake_and_names_it(
    config: dict[str, Any], change: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**config, **change}))

    assert sentence in (kindcheck.objection(path) or "")
