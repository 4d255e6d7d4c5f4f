"""The health check for Argo CD, which runs it as a Lua script."""

from __future__ import annotations

from typing import Any

import pytest
from lupa import lua51

from tests.chart.conftest import CHART
from triton_operator.api.conditions import READY, STALLED, TERMINAL, Reason

SCRIPT = (CHART / "files" / "argocd" / "health.lua").read_text()


def health(body: dict[str, Any]) -> dict[str, str]:
    """The result of the script for an object."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True)
    runtime.globals().obj = runtime.table_from(body, recursive=True)
    return dict(runtime.execute(SCRIPT))


def deployment(reason: str, ready: str = "False", *, stalled: bool = False, observed: int = 2) -> dict[str, Any]:
    """Return a ModelDeployment of generation 2 with this status."""
    conditions = [
        {"type": "Available", "status": "True", "reason": "Available"},
        {"type": READY, "status": ready, "reason": reason, "message": "why"},
        {"type": STALLED, "status": str(stalled), "reason": reason, "message": "why"},
    ]
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": conditions}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (deployment(Reason.SERVING, "True"), "Healthy"),
        (deployment(Reason.SCALED_TO_ZERO, "True"), "Healthy"),
        (deployment(Reason.SCALED_TO_ZERO), "Progressing"),
        (deployment(Reason.SUSPENDED, "True"), "Suspended"),
        (deployment(Reason.SUSPENDED), "Progressing"),
        (deployment(Reason.ROLLING_OUT), "Progressing"),
        (deployment(Reason.ROLLOUT_PAUSED), "Suspended"),
        (deployment(Reason.IMAGE_PULL_FAILED), "Progressing"),
        (deployment(Reason.PROGRESS_DEADLINE_EXCEEDED), "Degraded"),
        (deployment(Reason.SERVING, "True", observed=1), "Progressing"),
        ({"metadata": {"generation": 1}}, "Progressing"),
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}, "Progressing"),
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}, "Progressing"),
    ],
)
def test_health_follows_ready(body: dict[str, Any], status: str) -> None:
    """An outdated status is Progressing, and neither suspension nor automatic recovery is Degraded."""
    assert health(body)["status"] == status


@pytest.mark.parametrize("reason", sorted(TERMINAL))
def test_what_needs_a_person_is_degraded(reason: str) -> None:
    """The message says which field or model it is."""
    assert health(deployment(reason, stalled=True)) == {"status": "Degraded", "message": f"{reason}: why"}
