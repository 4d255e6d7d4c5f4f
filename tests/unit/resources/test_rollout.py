"""The rollout fields of the Deployment: what each field of `spec.rollout` becomes, and which specs are rejected."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.names import ANNOTATION_RESTARTED
from triton_operator.reconcile.validate import validate
from triton_operator.resources.build import render


def a_rollout(**rollout: Any) -> dict[str, Any]:
    """`spec` of the Deployment."""
    children = render(a_deployment(rollout=rollout), SETTINGS)
    (deployment,) = (child for child in children if child["kind"] == "Deployment")
    kubernetes_validate.validate(deployment, "1.35", strict=True)
    spec: dict[str, Any] = deployment["spec"]
    return spec


@pytest.mark.parametrize(
    ("rollout", "surge", "unavailable"),
    [
        ({}, 1, 0),
        ({"strategy": "Auto"}, 1, 0),
        ({"strategy": "RollingUpdate"}, 1, 0),
        ({"strategy": "RollingUpdate", "maxSurge": "25%"}, "25%", 0),
        ({"strategy": "RollingUpdate", "maxSurge": 0}, 0, 1),
        ({"strategy": "RollingUpdate", "maxSurge": "0%"}, "0%", 1),
        ({"strategy": "RollingUpdate", "maxUnavailable": "50%"}, 1, "50%"),
        ({"strategy": "RollingUpdate", "maxSurge": 0, "maxUnavailable": 2}, 0, 2),
    ],
)
def test_a_rolling_update_can_always_make_progress(
    rollout: dict[str, Any], surge: int | str, unavailable: int | str
) -> None:
    strategy = a_rollout(**rollout)["strategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


def test_the_strategy_recreate_stops_all_pods_first() -> None:
    assert a_rollout(strategy="Recreate")["strategy"] == {"type": "Recreate"}


def test_a_strategy_of_the_user_also_applies_to_gpus() -> None:
    strategy = a_rollout(strategy="RollingUpdate")["strategy"]
    children = render(a_deployment(rollout={"strategy": "RollingUpdate"}, gpu={"count": 1}), SETTINGS)
    assert [child["spec"]["strategy"] for child in children if child["kind"] == "Deployment"] == [strategy]


def test_the_other_fields_are_those_of_the_deployment() -> None:
    spec = a_rollout(paused=True, progressDeadlineSeconds=900, revisionHistoryLimit=0)
    assert (spec["paused"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (True, 900, 0)
    default = a_rollout()
    assert (default["paused"], default["progressDeadlineSeconds"], default["revisionHistoryLimit"]) == (False, 2400, 2)


def test_a_restart_changes_only_an_annotation_and_the_revision_of_the_pods() -> None:
    before, after = a_rollout()["template"], a_rollout(restartedAt="2026-11-30T21:00:00Z")["template"]
    assert "annotations" not in before["metadata"]
    assert after["metadata"].pop("annotations") == {ANNOTATION_RESTARTED: "2026-11-30T21:00:00Z"}
    label = "triton-operator.io/revision"
    assert before["metadata"]["labels"].pop(label) != after["metadata"]["labels"].pop(label)
    assert before == after


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"rollout": {"maxSurge": 1}}, "spec.rollout.maxSurge", "RollingUpdate"),
        ({"rollout": {"strategy": "Recreate", "maxUnavailable": 1}}, "spec.rollout.maxUnavailable", "RollingUpdate"),
        (
            {"rollout": {"strategy": "RollingUpdate", "maxSurge": "0%", "maxUnavailable": 0}},
            "spec.rollout.maxUnavailable",
            "no pod could be replaced",
        ),
        ({"rollout": {"strategy": "RollingUpdate", "maxSurge": -1}}, "spec.rollout.maxSurge", "from 0 to 1000"),
        ({"rollout": {"strategy": "RollingUpdate", "maxSurge": "1"}}, "spec.rollout.maxSurge", "25%"),
        ({"rollout": {"strategy": "RollingUpdate", "maxSurge": "101%"}}, "spec.rollout.maxSurge", "25%"),
        ({"rollout": {"progressDeadlineSeconds": 600}}, "spec.rollout.progressDeadlineSeconds", "(600)"),
        (
            {"rollout": {"progressDeadlineSeconds": 900}, "lifecycle": {"startupTimeoutSeconds": 1200}},
            "spec.rollout.progressDeadlineSeconds",
            "(1200)",
        ),
        ({"rollout": {"restartedAt": "today"}}, "spec.rollout.restartedAt", "'today' is not a time"),
        ({"rollout": {"restartedAt": "2026-11-30T21:00:00"}}, "spec.rollout.restartedAt", "is not a time"),
    ],
)
def test_a_rollout_that_cannot_work_is_rejected_at_its_field(spec: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidSpecError) as error:
        validate(a_deployment(**spec).spec)
    assert str(error.value).startswith(f"{field}: ")
    assert words in str(error.value)


def test_all_mistakes_of_a_rollout_are_reported_at_once() -> None:
    with pytest.raises(InvalidSpecError) as error:
        validate(a_deployment(rollout={"maxSurge": "x", "restartedAt": "y", "progressDeadlineSeconds": 60}).spec)
    for field in ("maxSurge", "restartedAt", "progressDeadlineSeconds"):
        assert f"spec.rollout.{field}: " in str(error.value)
