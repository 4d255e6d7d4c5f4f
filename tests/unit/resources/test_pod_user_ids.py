"""Who chooses the user and group IDs of pods: the operator, or an admission controller of the cluster."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.resources.build import render
from triton_operator.resources.settings import PodUserIDs

IDS = {"runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"}
CACHED: dict[str, Any] = {"modelRepository": {"s3": {"bucket": "models"}}, "cache": {"size": "1Gi"}}


def pods(chosen: PodUserIDs, **spec: Any) -> dict[str, dict[str, Any]]:
    """The specs of the pods that the operator creates, by the kind of their owner."""
    settings = msgspec.structs.replace(SETTINGS, pod_user_ids=chosen)
    children = render(a_deployment(**spec), settings)
    return {each["kind"]: each["spec"]["template"]["spec"] for each in children if "template" in each.get("spec", {})}


def contexts(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The security contexts of the pod and of its containers."""
    return [each["securityContext"] for each in (pod, *pod.get("initContainers", ()), *pod["containers"])]


def test_the_operator_sets_ids_by_default() -> None:
    found = pods(PodUserIDs.FIXED, **CACHED)
    assert [context.get("runAsUser") for context in contexts(found["Deployment"])] == [1000, None, 65532, None]
    assert found["Job"]["securityContext"]["fsGroup"] == 1000


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_an_admission_controller_can_choose_all_ids(kind: str) -> None:
    """The other restrictions stay."""
    fixed, chosen = (contexts(pods(each, **CACHED)[kind]) for each in PodUserIDs)
    assert not any(IDS & context.keys() for context in chosen)
    assert chosen == [{name: value for name, value in context.items() if name not in IDS} for context in fixed]
    assert chosen[0]["runAsNonRoot"] is True


def test_ids_in_the_template_of_the_user_stay() -> None:
    template = {"spec": {"securityContext": {"fsGroup": 1000650000}}}
    found = pods(PodUserIDs.CLUSTER, podTemplate=template)["Deployment"]
    assert found["securityContext"]["fsGroup"] == 1000650000
