"""The operator is killed at random moments, repeatedly: the final state is that of a run without a crash."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.conftest import Kubectl
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace, Object
from triton_operator.cluster.observed import OPTIONAL_KINDS, Kind

COUNT = 50
KILLS = 8
SPEC: dict[str, Any] = {"replicas": 2, "autoscaling": {"minReplicas": 1, "maxReplicas": 4}}


@pytest.mark.timeout(600)
async def test_kill_9_at_random_moments_leaves_the_same_end_state(
    kubeconfig: Path, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    undisturbed = f"{namespace}-ref"
    kubectl("create", "namespace", undisturbed)
    expected = await _run(kubeconfig, undisturbed, tmp_path, kills=0)
    result = await _run(kubeconfig, namespace, tmp_path, kills=KILLS)
    assert result == expected


async def _run(kubeconfig: Path, namespace: str, folder: Path, *, kills: int) -> Any:
    """Create objects, edit half of them, and wait until all is settled; returns the state without identities."""
    dice = random.Random(20260102)
    operator = OperatorProcess(kubeconfig, namespace, folder)
    operator.start()
    try:
        async with Namespace(kubeconfig, namespace) as world:
            work = asyncio.create_task(_work(world))
            for _ in range(kills):
                await asyncio.sleep(dice.uniform(0.2, 2.5))
                operator.kill()
                operator.start()
            await work
            operator.wait_ready()  # The last one may have begun after everything was done.
            await world.until_observed()
            operator.stop()
            return await _picture(world)
    finally:
        operator.stop()


async def _work(world: Namespace) -> None:
    await world.create(COUNT, **SPEC)
    await world.until_observed()  # So that each has a revision to go back to, whenever the operator was killed.
    for number in range(0, COUNT, 2):
        await world.edit(f"m-{number}", models=[{"name": "digits"}, {"name": "linear"}], replicas=1, autoscaling=None)


async def _picture(world: Namespace) -> Any:
    """Every child with its content and its owner's name; a child without its owner would be a difference."""
    owners = {body["metadata"]["uid"]: body["metadata"]["name"] for body in await world.deployments()}
    children = {
        (kind.value, body["metadata"]["name"]): (_content(body), _owner(body, owners))
        for kind in Kind
        if kind not in OPTIONAL_KINDS
        for body in await world.children(kind)
    }
    statuses = {body["metadata"]["name"]: _reasons(body) for body in await world.deployments()}
    return json.loads(json.dumps([sorted(children.items()), statuses]).replace(world.name, "NAMESPACE"))


def _content(body: Object) -> Object:
    """Without fields that the server assigns or that depend on the time of the write."""
    kept = {key: value for key, value in body.items() if key not in {"metadata", "status", "revision"}}
    spec = kept.get("spec", {})
    for assigned in ("clusterIP", "clusterIPs"):
        spec.pop(assigned, None)
    return kept


def _owner(body: Object, owners: dict[str, str]) -> str:
    return owners.get(body["metadata"]["ownerReferences"][0]["uid"], "nobody")


def _reasons(body: Object) -> list[tuple[str, str]]:
    return [(condition["type"], condition["reason"]) for condition in body["status"]["conditions"]]
