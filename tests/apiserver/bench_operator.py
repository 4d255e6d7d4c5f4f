"""What the operator costs with many objects, and how fast it reacts, with a real API server over TLS.

There is no controller manager here, so only the operator writes: the benchmark measures its own work.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path

import pytest

from tests.apiserver.many_objects import everything, until_passed, until_quiet, until_written
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from tests.benchmarks.costs import Costs, Scale
from tests.benchmarks.instructions import count_instructions
from triton_operator.cluster.observed import Kind

COUNT = int(os.environ.get("BENCH_OBJECTS", "500"))
REST_SECONDS = 30.0
"""More than two resyncs."""
ROUNDS = 20
LARGE_COUNT = 50


@pytest.mark.timeout(900)
async def bench_many_objects(kubeconfig: Path, namespace: str, tmp_path: Path, costs: Costs) -> None:
    """From the first object until all have their status and the operator has received its own writes."""
    with OperatorProcess(kubeconfig, namespace, tmp_path, resync_seconds=12) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            idle, cpu = operator.resident_megabytes(), operator.cpu_seconds()
            counter = count_instructions(operator.pid)
            await world.create(COUNT, **everything(COUNT))
            await until_written(operator, COUNT, meanwhile=costs.sample)
        await _until_idle(operator)
        costs.add(f"each of {COUNT} objects", (operator.cpu_seconds() - cpu) * 1000 / COUNT, "CPU-ms", Scale.CPU)
        if counter:
            costs.add(f"each of {COUNT} objects, in instructions", counter.read() / COUNT / 1e6, "million")
            counter.close()
        before = operator.cpu_seconds()
        await asyncio.sleep(REST_SECONDS)
        costs.add("a second at rest", (operator.cpu_seconds() - before) * 1000 / REST_SECONDS, "CPU-ms", Scale.CPU)
        costs.add(f"memory for {COUNT} objects", operator.resident_megabytes() - idle, "MB")


@pytest.mark.timeout(1800)
async def bench_restart(kubeconfig: Path, namespace: str, tmp_path: Path, costs: Costs) -> None:
    """From `kill -9` until every unchanged object has been reconciled, without the cost of the start itself."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        alone = operator.cpu_seconds()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(COUNT, **everything(COUNT))
            await until_written(operator, COUNT, meanwhile=costs.sample)
        await until_quiet(operator, 5)
        operator.kill()
        operator.start()
        begin = time.perf_counter()
        await until_passed(operator, COUNT)
        costs.add(
            f"a restart with {COUNT} objects, until quiet", (time.perf_counter() - begin) * 1000, "ms", Scale.CLOCK
        )
        spent = (operator.cpu_seconds() - alone) * 1000 / COUNT
        costs.add(f"a restart, each of {COUNT} objects", spent, "CPU-ms", Scale.CPU)
        costs.add(f"a restart with {COUNT} objects, writes", sum(operator.writes().values()), "")
        costs.add(f"a restart with {COUNT} objects, memory at most", operator.most_megabytes(), "MB")


async def bench_news(kubeconfig: Path, namespace: str, tmp_path: Path, costs: Costs) -> None:
    """From a change until the operator has reacted; includes the time of the API server and of the poll."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(1)
            await until_written(operator, 1)
            await until_quiet(operator, 2)
            edited, repaired = [], []
            for number in range(ROUNDS):
                costs.sample()
                begin = time.perf_counter()
                await world.edit("m-0", replicas=1 + number % 2)
                await world.until_observed(poll=0.005)
                edited.append(time.perf_counter() - begin)
                await until_quiet(operator, 1)
                begin = time.perf_counter()
                await world.delete(Kind.SERVICE, "m-0")
                await world.until_there(Kind.SERVICE, "m-0", poll=0.005)
                repaired.append(time.perf_counter() - begin)
    costs.add("from an edit to its status", statistics.median(edited) * 1000, "ms", Scale.CLOCK)
    costs.add("from a deleted child to a new one", statistics.median(repaired) * 1000, "ms", Scale.CLOCK)


async def _until_idle(operator: OperatorProcess) -> None:
    """Wait until it spends less than 3 % of a core."""
    async with asyncio.timeout(300):
        before = operator.cpu_seconds()
        while True:
            await asyncio.sleep(1)
            now = operator.cpu_seconds()
            if now - before < 0.03:
                return
            before = now


@pytest.mark.timeout(900)
async def bench_large_objects(kubeconfig: Path, namespace: str, tmp_path: Path, costs: Costs) -> None:
    """Specs of 100 KB, near the limit: the memory that remains in use, and the peak."""
    parameters = {f"p{number}": "x" * 4096 for number in range(24)}
    tensor = {"name": "x", "dataType": "FP32", "dims": [1]}
    config = {"inputs": [tensor], "outputs": [{**tensor, "name": "y"}], "parameters": parameters}
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            idle = operator.resident_megabytes()
            await world.create(LARGE_COUNT, models=[{"name": "digits", "config": config}])
            await until_written(operator, LARGE_COUNT)
        await _until_idle(operator)
        costs.add("memory of the operator alone", idle, "MB")
        costs.add("memory for 50 objects of 100 KB", operator.resident_megabytes() - idle, "MB")
        operator.kill()
        operator.start()
        operator.wait_ready()
        await _until_idle(operator)
        costs.add("memory for 50 objects of 100 KB, peak of a start", operator.most_megabytes() - idle, "MB")
