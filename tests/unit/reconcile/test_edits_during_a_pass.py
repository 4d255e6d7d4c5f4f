"""A user's edit that arrives at any moment of a pass is handled by the next one."""

from __future__ import annotations

import pytest

from tests.fakes import FakeCluster, World
from triton_operator.cluster.observed import Child, Kind
from triton_operator.cluster.protocol import Manifest


@pytest.mark.parametrize("kind", [Kind.SERVICE_ACCOUNT, Kind.NETWORK_POLICY, Kind.DEPLOYMENT])
async def test_an_edit_during_the_write_of_a_child_is_handled_by_the_next_pass(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    edits: list[Kind] = []

    async def create_and_edit(cluster: FakeCluster, manifest: Manifest) -> Child:
        child = await create(cluster, manifest)
        world.cache.children.put(child)
        if child.kind is kind and not edits:
            edits.append(kind)
            world.edit(replicas=3)
        return child

    create = FakeCluster.create
    monkeypatch.setattr(FakeCluster, "create", create_and_edit)
    assert await world.reconcile() == 0.0
    assert world.status.observed_generation == 1
    await world.reconcile()
    assert world.status.observed_generation == 2
    assert world.manifest(Kind.DEPLOYMENT)["spec"]["replicas"] == 3
