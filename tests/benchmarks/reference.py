"""A fixed workload that measures the current speed of the machine.

Output: its duration. It uses none of the project's code, so that the result depends only on the machine.
"""

from __future__ import annotations

import copy
import json
import time
from typing import Any, NamedTuple

_ROUNDS = 40


class Sample(NamedTuple):
    """The duration in milliseconds: `cpu` is CPU time, and `clock` is elapsed time."""

    cpu: float
    clock: float


def sample() -> Sample:
    """Run the workload once: copy, encode and decode objects of the size of a real Deployment."""
    cpu, clock = time.process_time(), time.perf_counter()
    for _ in range(_ROUNDS):
        json.loads(json.dumps(copy.deepcopy(_OBJECT)))
    return Sample((time.process_time() - cpu) * 1000, (time.perf_counter() - clock) * 1000)


def _container(number: int) -> dict[str, Any]:
    return {
        "name": f"container-{number}",
        "image": "registry.example.org/images/server:26.11",
        "args": [f"--option-{each}={each * number}" for each in range(20)],
        "env": [{"name": f"NAME_{each}", "value": str(each)} for each in range(10)],
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}},
        "volumeMounts": [
            {"name": f"volume-{each}", "mountPath": f"/mnt/{each}", "readOnly": True} for each in range(6)
        ],
    }


_OBJECT: dict[str, Any] = {
    "metadata": {"name": "reference", "labels": {f"label-{each}": "value" for each in range(10)}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [_container(number) for number in range(4)]}}},
}
