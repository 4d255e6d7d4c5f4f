"""How Helm 4 and Flux evaluate a ModelDeployment: their library kstatus evaluates objects in every state.

Both wait until an object is Current, and stop if it is Failed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from hack.cluster.controlplane import ControlPlane
from hack.programs.catalogue import tools
from tests.apiserver.api_client import Api
from tests.apiserver.specs import MINIMAL, create, deployment
from tests.reason_pages import OF_OTHER_CONDITIONS, world_with
from tests.reason_states import STATES
from triton_operator.api.conditions import TERMINAL, Reason

BY_THE_USER = {Reason.SUSPENDED, Reason.SCALED_TO_ZERO}
CURRENT = BY_THE_USER | (set(OF_OTHER_CONDITIONS) - {Reason.POLICY_MISSING})
"""Reasons whose state is what the user asked for, or that of a deployment which serves."""


def judge(*bodies: dict[str, Any]) -> list[str]:
    """The results of kstatus."""
    program = tools("kstatus") / "kstatus"
    done = subprocess.run([program], input=json.dumps(bodies), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return [verdict["status"] for verdict in json.loads(done.stdout)]


@pytest.mark.parametrize("reason", sorted(STATES))
async def test_each_state_is_waited_for_given_up_or_reached(reason: str) -> None:
    world = await world_with(reason)
    (result,) = judge({**world.body, "status": json.loads(msgspec.json.encode(world.status))})
    if world.condition("Ready").reason in TERMINAL:
        assert result == "Failed"
    else:
        assert result == ("Current" if reason in CURRENT else "InProgress")


def test_an_object_that_the_operator_has_not_seen_is_waited_for(api: Api, namespace: str) -> None:
    """Without the default it would be Current, and `helm install --wait` would return immediately."""
    stored = create(api, namespace, deployment(MINIMAL))
    assert stored["status"] == {"observedGeneration": -1}
    unseen = {key: value for key, value in stored.items() if key != "status"}
    assert judge(stored, unseen) == ["InProgress", "Current"]


def test_helm_waits_for_an_object_that_the_operator_has_not_seen(
    control_plane: ControlPlane, api: Api, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: models\nversion: 0.0.1\n")
    (tmp_path / "templates" / "digits.yaml").write_text(yaml.safe_dump(deployment(MINIMAL)))
    place = ["--kubeconfig", str(control_plane.kubeconfig), "--namespace", namespace]
    command = [str(tools("helm") / "helm"), "install", "models", str(tmp_path), *place, "--wait", "--timeout", "3s"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode != 0
    assert f"ModelDeployment/{namespace}/digits not ready" in done.stderr


def test_a_change_that_the_operator_has_not_seen_is_waited_for(api: Api, namespace: str) -> None:
    stored = create(api, namespace, deployment(MINIMAL))
    path = f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments/digits"
    time = {"message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"}
    ready = {"type": "Ready", "status": "True", "reason": "Serving", **time}
    served = api.merge(f"{path}/status", {"status": {"observedGeneration": 1, "conditions": [ready]}})
    edited = api.merge(path, {"spec": {"suspend": True}})
    assert stored["metadata"]["generation"] == 1
    assert judge(served, edited) == ["Current", "InProgress"]
