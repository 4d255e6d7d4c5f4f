"""How a real API server answers rejected writes, and how the status reports them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.api_client import Api
from tests.apiserver.conftest import Kubectl
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace, Object
from triton_operator.cluster.observed import Kind

TYPO: Object = {"nodeAffinity": {"requiredDuringScheduling": {}}}
LATE = 180.0


@pytest.fixture
async def world(kubeconfig: Path, namespace: str) -> AsyncIterator[Namespace]:
    async with Namespace(kubeconfig, namespace) as created:
        yield created


@pytest.mark.usefixtures("unbounded")
async def test_a_typing_mistake_in_a_field_that_is_passed_through_is_the_user_s(
    operator: OperatorProcess, world: Namespace
) -> None:
    """An older CRD admits it."""
    await world.create(1, scheduling={"affinity": TYPO})
    await world.until(_accepted("InvalidSpec"), "the mistake is reported", LATE)
    message = _condition(await world.deployments(), "Accepted")["message"]
    assert message.startswith("spec.scheduling.affinity: ")
    assert "requiredDuringScheduling: field not declared in schema" in message
    await world.edit("m-0", scheduling=None)
    await world.until(_accepted("Accepted"), "the corrected spec is accepted", LATE)


async def test_a_webhook_that_does_not_answer_is_named_and_waited_for(
    operator: OperatorProcess, world: Namespace, api: Api, kubectl: Kubectl
) -> None:
    hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    await asyncio.to_thread(api.create, hooks, _dead_webhook(world.name))
    try:
        await world.create(1)
        await world.until(_accepted("WebhookFailed"), "the webhook is blamed", LATE)
        message = _condition(await world.deployments(), "Accepted")["message"]
        assert f'failed calling webhook "{world.name}.example.com"' in message
        assert "Service" in message, "as many as fail are reported"
        assert not await world.children(Kind.DEPLOYMENT)
    finally:
        await asyncio.to_thread(kubectl, "delete", "validatingwebhookconfiguration", world.name)
    await world.until(_accepted("Accepted"), "it goes on by itself", LATE)
    assert await world.children(Kind.DEPLOYMENT)


def _dead_webhook(namespace: str) -> dict[str, Any]:
    """No server listens at its address; it is called for Services and Deployments of one namespace."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": f"{namespace}.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 1,
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [
                    {
                        "apiGroups": ["", "apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["services", "deployments"],
                    }
                ],
            }
        ],
    }


def _accepted(reason: str) -> Callable[[list[Object]], bool]:
    return lambda bodies: _condition(bodies, "Accepted").get("reason") == reason


def _condition(bodies: list[Object], kind: str) -> Object:
    conditions = bodies[0].get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == kind), {})
