"""Models that are copied before they are served, and the size of their volume."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.resources.revision import render_revision
from triton_operator.triton.prepare_contract.request import decode

DIGEST = f"sha256:{'a' * 64}"
CLAIM = {"pvc": {"claimName": "models"}}
IMAGE = {"image": {"reference": "example.org/models:1"}}


@pytest.mark.parametrize(
    ("repository", "digest", "copied"),
    [(CLAIM, DIGEST, True), (CLAIM, None, False), (IMAGE, DIGEST, False), (IMAGE, None, False)],
)
def test_a_pinned_model_in_a_claim_is_copied(repository: dict[str, Any], digest: str | None, copied: bool) -> None:
    """An image is immutable, and without a digest there is nothing to guarantee."""
    model = {"name": "digits"} | ({"digest": digest} if digest else {})
    revision = render_revision(a_deployment(modelRepository=repository, models=[model]), [], SETTINGS)
    (prepared,) = decode(revision.config["models.json"].encode()).models
    assert prepared.copy is copied
    volumes = {volume["name"]: volume for volume in revision.template["spec"]["volumes"]}
    assert volumes["models"] == {"name": "models", "emptyDir": {"sizeLimit": "100Gi" if copied else "16Mi"}}
