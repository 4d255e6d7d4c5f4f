"""Measure the time from `kubectl apply` to Ready for deployments that are compared with each other.

Input: manifests by what they differ in. Output: the median of each. The deployments alternate, so that other load on
the machine affects all of them. An additional first round, which is not measured, warms the page cache and creates what
later deployments share. Images are on the node, so the time is that of the operator, the kubelet and the containers.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping

from tests.benchmarks.costs import Costs
from tests.kube import Kube, Object

_POLL_SECONDS = 0.05
"""The most that is added to a time, of which some are a few seconds."""


def median_start_times(kube: Kube, costs: Costs, bodies: Mapping[str, Object], rounds: int) -> dict[str, float]:
    """The median time in seconds of each deployment, which is deleted after it has become ready."""
    took: dict[str, list[float]] = {mode: [] for mode in bodies}
    for number in range(rounds + 1):
        for mode in sorted(bodies, reverse=number % 2 == 1):
            costs.sample()
            took[mode].append(_seconds_until_ready(kube, bodies[mode], number))
    return {mode: statistics.median(each[1:]) for mode, each in took.items()}


def _seconds_until_ready(kube: Kube, body: Object, number: int) -> float:
    body = copy.deepcopy(body)
    name = body["metadata"]["name"] = f"{body['metadata']['name']}-{number}"
    start = time.perf_counter()
    kube.apply(body)
    kube.polling(_POLL_SECONDS).wait_ready(name)
    seconds = time.perf_counter() - start
    kube.delete("modeldeployment", name)
    # Without the time for requests in flight, so that the pod does not use CPU during the next measurement.
    kube.run("delete", "pods", "-l", f"triton-operator.io/model-deployment={name}", "--grace-period=1")
    return seconds
