"""What the operator writes for many objects, with a real API server over TLS.

There is no controller manager here, so only the operator writes: the tests count its own writes. `bench_operator.py`
measures its cost.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.apiserver.many_objects import EVERYTHING, until_quiet, until_written
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from triton_operator.cluster.observed import Kind

COUNT = 500
RESYNC_SECONDS = 12.0
MOST_MEGABYTES = 150
"""Five times what 500 objects with all their children took."""
COPIES = {Kind.SERVICE.value: 2, Kind.CONFIG_MAP.value: 2, Kind.CLAIM.value: 0, Kind.JOB.value: 0}
"""Children of a kind that each object has, where it is not one."""
MOST_SHARED_WRITES = COUNT // 10
"""Of the Secret with all certificates, and of the ConfigMap with their authority: one write is for many objects."""


@pytest.mark.timeout(1200)
async def test_five_hundred_objects_are_written_once_and_nothing_is_written_at_rest(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path, resync_seconds=RESYNC_SECONDS) as operator:
        operator.wait_ready()
        idle = operator.resident_megabytes()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(COUNT, **EVERYTHING)
            await until_written(operator, COUNT)
            await until_quiet(operator, 2.5 * RESYNC_SECONDS)  # Two resyncs: one may come a fifth later.
            writes, children = operator.writes(), await world.count_children()
        taken = operator.resident_megabytes() - idle
    assert all(count == COUNT * COPIES.get(kind, 1) for kind, count in children.items()), children
    most = children + Counter({"Secret": MOST_SHARED_WRITES, "ConfigMap": MOST_SHARED_WRITES})
    assert all(writes[kind] <= most[kind] for kind in most), writes
    assert writes["ModelDeployment/status"] <= 2 * COUNT
    assert taken <= MOST_MEGABYTES
