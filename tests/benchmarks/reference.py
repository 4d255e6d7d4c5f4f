"""A fixed piece of work that tells how fast this machine is at the moment.

Input: nothing. Output: what the work took. It uses none of our code, so that only the machine changes the figure.
"""

from __future__ import annotations

import copy
import json
import time
from typing import Any, NamedTuple

_ROUNDS = 40


class Sample(NamedTuple):
    """What the work took, in milliseconds: `cpu` on a processor, `clock` with all that had its processor meanwhile."""

    cpu: float
    clock: float


def sample() -> Sample:
    """Do it once: copy, write and read objects of the size of a live Deployment."""
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
