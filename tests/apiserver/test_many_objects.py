"""What the operator costs with many objects, against a real API server over TLS.

`make bench` prints the figures; the limits are asserted always. There is no controller manager here, so nothing but
the operator writes: what is counted is its own work.
"""

from __future__ import annotations

import asyncio
import copy
import json
import statistics
import time
from pathlib import Path

import pytest

from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace, Object
from triton_operator.cluster.observed import Kind

COUNT = 500
CPU_MILLISECONDS_PER_OBJECT = 8.0
"""On a quiet core of usual speed; how slow this one is, is measured in the same run."""
INSTRUCTIONS_PER_OBJECT = 15e6
"""What is limited where the processor can count, because seconds on a shared machine say more about its neighbours
than about the operator: a quarter more than was reached."""
SCRAPE_SECONDS = 5.0
"""Between two looks at the operator's metrics, whose writing costs it as much as half an object."""
USUAL_COPY = 47e-9
"""CPU seconds for each byte of JSON, to deep-copy a live Deployment: typical of the two-core machines that this is
developed on (260 µs for 5.5 KB). Shared machines were seen up to four times slower, and then everything is."""
EVERYTHING = {"replicas": 2, "autoscaling": {"maxReplicas": 4}}
"""Adds the autoscaler and the disruption budget, so that every kind of child is there but those of a cache."""
COPIES = {Kind.SERVICE.value: 2, Kind.CLAIM.value: 0, Kind.JOB.value: 0}
"""Children of a kind that each object has, where it is not one."""


@pytest.mark.timeout(600)
async def test_five_hundred_objects_cost_little_and_nothing_at_rest(
    kubeconfig: Path, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path, resync_seconds=12) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            idle = operator.resident_megabytes()
            cpu, began, counter = operator.cpu_seconds(), time.monotonic(), operator.count_instructions()
            await world.create(COUNT, **EVERYTHING)
            slowness = await _until_written(operator, (await world.children(Kind.DEPLOYMENT))[0])
            took = time.monotonic() - began
            await _until_quiet(operator)  # The echo of its own writes is a part of the cost.
            spent = (operator.cpu_seconds() - cpu) * 1000 / COUNT
            instructions = counter.read() / COUNT if counter else 0
            writes = operator.writes()
            children = await world.count_children()
        before = operator.cpu_seconds()
        await asyncio.sleep(30)  # two resyncs of 12 s, a fifth more or less
        at_rest = operator.writes() - writes
        rest = (operator.cpu_seconds() - before) * 1000 / 30
        full = operator.resident_megabytes()
    with capsys.disabled():
        print(
            f"\n{COUNT} objects with {sum(children.values()) / COUNT:.0f} children each, over TLS: "
            f"{instructions / 1e6:.1f} million instructions and {spent:.1f} CPU-ms an object, on a core that is "
            f"{slowness:.1f} times slower than usual; {took:.0f} s in all, "
            f"{sum(writes.values()) / COUNT:.2f} writes an object; "
            f"over two resyncs {sum(at_rest.values())} writes and {rest:.1f} CPU-ms a second; "
            f"RSS {idle:.0f} -> {full:.0f} MB"
        )
    assert all(count == COUNT * COPIES.get(kind, 1) for kind, count in children.items()), children
    assert all(writes[kind] <= children[kind] for kind in children), writes
    assert writes["ModelDeployment/status"] <= 2 * COUNT
    assert not at_rest
    if counter:
        assert instructions <= INSTRUCTIONS_PER_OBJECT
    else:
        assert spent / slowness <= CPU_MILLISECONDS_PER_OBJECT


async def _until_written(operator: OperatorProcess, sample: Object) -> float:
    """Wait until every object has its status, and see meanwhile how much slower than usual the cores are.

    The operator is asked, because lists of all objects would load the API server.
    """
    size = len(json.dumps(sample))
    seen = []
    async with asyncio.timeout(300):
        while operator.writes()["ModelDeployment/status"] < COUNT:
            seen.append(_copy_seconds(sample) / size / USUAL_COPY)
            await asyncio.sleep(SCRAPE_SECONDS)
    return statistics.median(seen)


def _copy_seconds(sample: Object, times: int = 20) -> float:
    began = time.process_time()
    for _ in range(times):
        copy.deepcopy(sample)
    return (time.process_time() - began) / times


async def _until_quiet(operator: OperatorProcess) -> None:
    """Wait until it spends less than 3 % of a core."""
    async with asyncio.timeout(120):
        before = operator.cpu_seconds()
        while True:
            await asyncio.sleep(1)
            now = operator.cpu_seconds()
            if now - before < 0.03:
                return
            before = now
