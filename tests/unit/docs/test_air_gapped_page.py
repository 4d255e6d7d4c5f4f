"""The values and the object of docs/air-gapped.md are enough for the profile AirGapped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.paths import ROOT
from tests.tritonctl import tritonctl

VALUES, OBJECT = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "air-gapped.md").read_text(), re.DOTALL)


def test_the_object_is_accepted_by_an_installation_with_the_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused by an installation with the chart's defaults, which have no digests."""
    values = yaml.safe_load(VALUES)
    image = "{repository}@{digest}".format(**values["image"])
    settings, file = tmp_path / "settings.json", tmp_path / "digits.yaml"
    settings.write_text(json.dumps({"operatorImage": image, "images": values["images"]}))
    file.write_text(OBJECT)
    outcome = tritonctl(capsys, "render", "-f", file, "--settings", settings)
    assert outcome.code == 0, outcome.err
    refused = tritonctl(capsys, "render", "-f", file)
    assert refused.code == 2
    assert "image.digest in the values of the Helm chart" in refused.err
