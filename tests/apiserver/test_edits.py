"""Edits that race with the operator's own writes are never lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from triton_operator.cluster.observed import Kind

COUNT = 40
ROUNDS = 3


@pytest.mark.timeout(900)
async def test_an_edit_right_after_a_change_of_a_child_is_acted_on(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    """The child's change makes the operator write a status; the edit happens just before or after that write."""
    dice = random.Random(20260102)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(COUNT)
            await world.until_observed()
            for replicas in range(2, 2 + ROUNDS):

                async def disturb(number: int, replicas: int = replicas) -> None:
                    await world.report_replicas(f"m-{number}", replicas)
                    await asyncio.sleep(dice.uniform(0, 0.03))
                    await world.edit(f"m-{number}", replicas=replicas)

                await asyncio.gather(*(disturb(number) for number in range(COUNT)))
                await world.until_observed(60)
                result = {
                    body["metadata"]["name"]: body["spec"]["replicas"] for body in await world.children(Kind.DEPLOYMENT)
                }
                assert result == {f"m-{number}": replicas for number in range(COUNT)}
