"""A restarted operator writes only what differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.api_client import Api
from tests.apiserver.many_objects import until_passed
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from triton_operator.cluster.observed import Kind

COUNT = 200
SPECS: list[dict[str, Any]] = [
    {},
    {"replicas": 2, "autoscaling": {"maxReplicas": 4}},
    {
        "replicas": 3,
        "privacy": {"profile": "Open"},
        "service": {"type": "NodePort", "annotations": {"a": "b"}},
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": "2048Mi"}},
    },
    {
        "privacy": {"network": {"allowFrom": [{"podSelector": {"matchLabels": {"app": "shop"}}}]}},
        "scheduling": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
                        ]
                    }
                }
            },
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
            ],
        },
        "gpu": {"count": 1},
        "triton": {"sharedMemorySize": "1024Mi"},
    },
    {"suspend": True},
]


@pytest.mark.timeout(600)
async def test_a_restart_writes_nothing_for_unchanged_objects(kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(COUNT, **SPECS[1])
            await world.until_observed()
            operator.kill()
            operator.start()
            await until_passed(operator, COUNT)
            assert not operator.writes(), operator.log.read_text()


@pytest.mark.timeout(900)
async def test_after_a_restart_every_kind_of_spec_is_recognized(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            for number, spec in enumerate(SPECS):
                await world.create(1, first=number, **spec)
            await world.until_observed()
            operator.kill()
            operator.start()
            await until_passed(operator, len(SPECS))
            assert not operator.writes(), operator.log.read_text()


EDITS: dict[str, tuple[Kind, Callable[[dict[str, Any]], Any]]] = {
    "a value": (Kind.SERVICE, lambda body: body["spec"]["selector"].update(app="another")),
    "a label of ours": (Kind.SERVICE, lambda body: body["metadata"]["labels"].pop("app.kubernetes.io/name")),
    "an environment variable removed": (
        Kind.DEPLOYMENT,
        lambda body: body["spec"]["template"]["spec"]["containers"][0]["env"].pop(),
    ),
    "a container added": (
        Kind.DEPLOYMENT,
        lambda body: body["spec"]["template"]["spec"]["containers"].append({"name": "spy", "image": "spy:1"}),
    ),
    "an open rule": (Kind.NETWORK_POLICY, lambda body: body["spec"]["ingress"].append({})),
    "a token mounted": (Kind.SERVICE_ACCOUNT, lambda body: body.update(automountServiceAccountToken=True)),
    "replicas": (Kind.DEPLOYMENT, lambda body: body["spec"].update(replicas=7)),
    "another deployment in the label": (
        Kind.SERVICE,
        lambda body: body["metadata"]["labels"].update({"triton-operator.io/model-deployment": "m-9"}),
    ),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("edit", EDITS)
async def test_what_was_edited_while_no_operator_ran_is_repaired_alone(
    kubeconfig: Path, api: Api, namespace: str, tmp_path: Path, edit: str
) -> None:
    kind, change = EDITS[edit]
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(1, replicas=2)
            await world.until_observed()
            operator.kill()
            before = await world.child(kind, "m-0")
            await world.replace(kind, "m-0", change)
            assert _content(await world.child(kind, "m-0")) != _content(before)
            operator.start()
            await until_passed(operator, 1)
            assert _content(await world.child(kind, "m-0")) == _content(before)
            assert set(operator.writes()) <= {kind.value, "ModelDeployment/status", "Event"}


def _content(body: dict[str, Any]) -> Any:
    metadata = {key: body["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences")}
    return {**{key: value for key, value in body.items() if key != "status"}, "metadata": metadata}
