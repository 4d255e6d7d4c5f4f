"""Memory of the operator's pod: idle, and with five hundred objects."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable

import pytest

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object

COUNT = 500
IDLE_MEGABYTES = 70
FULL_MEGABYTES = 110
DEPLOYMENT = "triton-operator"


@pytest.mark.timeout(900)
def test_five_hundred_objects_fit_into_little_memory(
    node: RunningCluster,
    operator: str,
    kube: Kube,
    model_deployment: Callable[..., Object],
    measured: Callable[[str], None],
) -> None:
    own = kube.beside(operator)
    own.run("rollout", "restart", f"deployment/{DEPLOYMENT}")
    own.run("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=300s")
    with node.reach(operator, f"{DEPLOYMENT}-metrics", "metrics") as address:
        idle = _resident_megabytes(address)
        bodies = [_suspended(model_deployment, f"many-{number}") for number in range(COUNT)]
        kube.run("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))
        kube.wait(lambda: _statuses_written(address) >= COUNT, f"{COUNT} objects have their children", 600)
        full = _resident_megabytes(address)
    measured(f"operator's memory in its image: {idle:.0f} MB idle, {full:.0f} MB with {COUNT} objects")
    assert idle <= IDLE_MEGABYTES
    assert full <= FULL_MEGABYTES


def _suspended(model_deployment: Callable[..., Object], name: str) -> Object:
    """Return a suspended deployment, which has all children but no pods, because the node has space for few pods."""
    body = model_deployment("digits", suspend=True)
    body["metadata"]["name"] = name
    return body


def _statuses_written(address: str) -> float:
    """Return the number of status writes since the operator started; listing all objects would load the node."""
    labels = r'\{code="200",kind="ModelDeployment/status",verb="PATCH"\}'
    return _metric(address, f"triton_operator_api_requests_total{labels}", default=0)


def _resident_megabytes(address: str) -> float:
    return _metric(address, "process_resident_memory_bytes") / 2**20


def _metric(address: str, name: str, default: float | None = None) -> float:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    match = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert match or default is not None, text
    return float(match[1]) if match else default or 0.0
