"""The scan mode in the request to `prepare`, and the models that it copies before it scans them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import AIR_GAPPED, SETTINGS, a_deployment
from triton_operator.api.privacy import Profile
from triton_operator.api.scan import Scan
from triton_operator.resources.revision import render_revision
from triton_operator.resources.scan_mode import DEFAULT_MODES
from triton_operator.triton.prepare_contract.request import Preparation, decode

CLAIM = {"pvc": {"claimName": "models"}}
IMAGE = {"image": {"reference": "example.org/models:1"}}
BUCKET = {"s3": {"bucket": "models"}}


def request(**spec: Any) -> tuple[Preparation, dict[str, Any]]:
    """The request to `prepare`, and the volumes of the pod."""
    revision = render_revision(a_deployment(**spec), [], SETTINGS)
    volumes = {volume["name"]: volume for volume in revision.template["spec"]["volumes"]}
    return decode(revision.config["models.json"].encode()), volumes


@pytest.mark.parametrize(
    ("verification", "mode"),
    [(None, Scan.WARN), ({"scan": "Warn"}, Scan.WARN), ({"scan": "Refuse"}, Scan.REFUSE)],
)
def test_prepare_gets_the_mode(verification: dict[str, Any] | None, mode: Scan) -> None:
    asked, volumes = request(modelRepository=CLAIM, **({"verification": verification} if verification else {}))
    assert asked.scan is mode
    assert asked.verification is None  # Without keys, no signature is checked.
    assert "verified" not in volumes


@pytest.mark.parametrize(
    ("verification", "mode"), [({}, Scan.REFUSE), ({"scan": "Warn"}, Scan.WARN), ({"scan": "Refuse"}, Scan.REFUSE)]
)
def test_the_profile_air_gapped_refuses_unless_the_user_decides(verification: dict[str, Any], mode: Scan) -> None:
    spec = AIR_GAPPED | {"verification": {**AIR_GAPPED["verification"], **verification}}
    assert request(**spec)[0].scan is mode


def test_every_profile_has_a_default_mode() -> None:
    assert set(DEFAULT_MODES) == set(Profile)


@pytest.mark.parametrize(
    ("repository", "extra", "copied"),
    [
        (CLAIM, {}, True),
        (IMAGE, {}, False),
        (BUCKET, {"privacy": {"profile": "Open"}}, False),
        (BUCKET, {"cache": {"size": "1Gi"}}, True),
    ],
    ids=["claim", "image", "fetched by each pod", "cache"],
)
def test_a_model_that_others_can_change_is_copied_before_a_scan_that_can_refuse_it(
    repository: dict[str, Any], extra: dict[str, Any], copied: bool
) -> None:
    asked, volumes = request(modelRepository=repository, verification={"scan": "Refuse"}, **extra)
    assert asked.models[0].copy is copied
    assert volumes["models"] == {"name": "models", "emptyDir": {"sizeLimit": "100Gi" if copied else "16Mi"}}
    reported, _ = request(modelRepository=repository, verification={"scan": "Warn"}, **extra)
    assert not reported.models[0].copy
