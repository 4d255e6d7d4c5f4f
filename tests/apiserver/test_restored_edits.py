"""Edits of the objects that protect a deployment are undone, and an Event names the field manager and the fields."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hack.programs.catalogue import tools
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from tests.builders import a_body
from tests.kube import Kube
from triton_operator.api.names import CA_CONFIG_MAP, SERVING_SECRET

Object = dict[str, Any]

CANARY = "Y2FuYXJ5"
PROXY, POLICY = ("configmap", "digits-proxy"), ("networkpolicy", "digits")
SERVING, AUTHORITIES = ("secret", SERVING_SECRET), ("configmap", CA_CONFIG_MAP)
JSON_PATCH, MERGE_PATCH = "--type=json", "--type=merge"

EDITS: dict[str, tuple[tuple[str, str], tuple[str, str], str, str]] = {
    "another policy of callers": (
        PROXY,
        (MERGE_PATCH, json.dumps({"data": {"policy.json": CANARY, "other": CANARY}})),
        "ProxyConfigRestored",
        "field manager mallory changed data.other, data[policy.json] of ConfigMap digits-proxy, which is restored",
    ),
    "an immutable policy of callers": (
        PROXY,
        (MERGE_PATCH, json.dumps({"data": {"policy.json": CANARY}, "immutable": True})),
        "ProxyConfigRestored",
        "field manager mallory changed data[policy.json], immutable of ConfigMap digits-proxy, which is restored",
    ),
    "no policy of callers": (
        PROXY,
        (MERGE_PATCH, '{"data": null}'),
        "ProxyConfigRestored",
        "somebody else changed data of ConfigMap digits-proxy, which is restored",
    ),
    "egress": (
        POLICY,
        (MERGE_PATCH, '{"spec": {"egress": [{}]}}'),
        "NetworkPolicyRestored",
        "field manager mallory changed spec.egress of NetworkPolicy digits, which is restored",
    ),
    "fewer directions": (
        POLICY,
        (JSON_PATCH, '[{"op": "remove", "path": "/spec/policyTypes/1"}]'),
        "NetworkPolicyRestored",
        "field manager mallory changed spec.policyTypes of NetworkPolicy digits, which is restored",
    ),
    "a key": (
        SERVING,
        (MERGE_PATCH, json.dumps({"data": {"digits.key": CANARY}})),
        "CertificateRestored",
        f"field manager mallory changed data[digits.key] of the certificate in Secret {SERVING_SECRET}, which is rep",
    ),
    "an authority": (
        AUTHORITIES,
        (MERGE_PATCH, json.dumps({"data": {"ca.crt": CANARY}})),
        "CABundleRestored",
        f"field manager mallory changed data[ca.crt] of ConfigMap {CA_CONFIG_MAP}, which is restored",
    ),
}

CHANGED_WHILE_DOWN = ("another policy of callers", "egress", "a key", "an authority")
"""Edits with an owner of the changed fields. A removed field has none, so it is restored without an Event."""

CHANGES: list[Object] = [{"audit": "Refused"}, {"network": {"allowFrom": [{"namespaceSelector": {}}]}}]
"""Of `spec.privacy`, which change the same objects."""


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


@asynccontextmanager
async def private_digits(
    kubeconfig: Path, namespace: str, tmp_path: Path, kube: Kube
) -> AsyncIterator[tuple[OperatorProcess, Namespace]]:
    """An operator that has reconciled a deployment with TLS."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        kube.apply({**a_body(privacy={"tls": {"mode": "Managed"}}), "metadata": {"name": "digits"}})
        async with Namespace(kubeconfig, namespace) as world:
            await world.until_observed()
            yield operator, world


async def test_every_edit_is_undone_and_reported_once_with_its_author(
    kubeconfig: Path, namespace: str, tmp_path: Path, kube: Kube
) -> None:
    """The operator's own changes before, between and after them are not reported."""
    async with private_digits(kubeconfig, namespace, tmp_path, kube) as (_, world):
        for name, (target, patch, reason, message) in EDITS.items():
            before = content(kube, target)
            reported = len(messages(kube, reason))
            kube.run("patch", *target, patch[0], "-p", patch[1], "--field-manager=mallory")
            kube.wait(partial(is_restored, kube, target, before), f"{name} is undone", 60)
            kube.wait(partial(messages, kube, reason, reported), f"{name} is reported", 60)
            (latest,) = messages(kube, reason, reported)
            assert latest.startswith(message), name
        for target in (PROXY, POLICY):
            kube.delete(*target)
            kube.wait(partial(kube.get, *target), f"{target} exists again", 60)
        for change in CHANGES:
            kube.patch("modeldeployment", "digits", {"spec": {"privacy": change}})
            await world.until_observed()
        kube.patch("modeldeployment", "digits", {"spec": {"privacy": {"tls": {"mode": "Disabled"}, "audit": None}}})
        kube.wait(lambda: kube.get(*PROXY) is None, "the operator deletes the policy of callers")
    events = [(event["reason"], event["note"]) for event in kube.list("events.v1.events.k8s.io")]
    restored = [event for event in events if event[0].endswith("Restored")]
    assert len(restored) == len(EDITS) + 2
    assert ("ProxyConfigRestored", "somebody else deleted ConfigMap digits-proxy, which is restored") in restored
    assert ("NetworkPolicyRestored", "somebody else deleted NetworkPolicy digits, which is restored") in restored
    assert not any(CANARY in note for _, note in events)


async def test_edits_while_the_operator_is_down_are_undone_and_reported_at_its_start(
    kubeconfig: Path, namespace: str, tmp_path: Path, kube: Kube
) -> None:
    async with private_digits(kubeconfig, namespace, tmp_path, kube) as (operator, _):
        operator.kill()
        edits = [EDITS[name] for name in CHANGED_WHILE_DOWN]
        before = [content(kube, target) for target, *_ in edits]
        for target, patch, *_ in edits:
            kube.run("patch", *target, patch[0], "-p", patch[1], "--field-manager=mallory")
        operator.start()
        for (target, _, reason, message), content_before in zip(edits, before, strict=True):
            kube.wait(partial(is_restored, kube, target, content_before), f"{target} is undone", 60)
            kube.wait(partial(messages, kube, reason), f"{reason} is reported", 60)
            assert [each[: len(message)] for each in messages(kube, reason)] == [message], target


async def test_an_immutable_secret_of_certificates_is_reported_until_somebody_deletes_it(
    kubeconfig: Path, namespace: str, tmp_path: Path, kube: Kube
) -> None:
    async with private_digits(kubeconfig, namespace, tmp_path, kube):
        before = content(kube, SERVING)
        frozen = json.dumps({"immutable": True, "data": {"digits.key": CANARY}})
        kube.run("patch", *SERVING, MERGE_PATCH, "-p", frozen, "--field-manager=mallory")
        reported = kube.wait_reason("digits", "CertificateInvalid", kind="Accepted", seconds=60)
        command = f"kubectl delete -n {namespace} {'/'.join(SERVING)}"
        assert command in reported["message"]
        kube.delete(*SERVING)
        kube.wait(partial(is_restored, kube, SERVING, before), "the Secret exists again", 60)
        kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "it is accepted", 60)


def content(kube: Kube, target: tuple[str, str]) -> Object:
    """What the operator is responsible for; empty if the object does not exist."""
    body = kube.get(*target) or {}
    return {key: body[key] for key in ("data", "spec", "immutable") if key in body}


def is_restored(kube: Kube, target: tuple[str, str], before: Object) -> bool:
    """Whether the content is as before, or in the Secret, whether another pair has replaced the edited one."""
    now = content(kube, target)
    if target != SERVING:
        return now == before
    return {CANARY, before["data"]["digits.key"]}.isdisjoint({now.get("data", {}).get("digits.key", CANARY)})


def messages(kube: Kube, reason: str, known: int = 0) -> list[str]:
    """The texts of the Events with this reason after the first `known` ones, oldest first."""
    events = [event for event in kube.list("events.v1.events.k8s.io") if event["reason"] == reason]
    return [event["note"] for event in sorted(events, key=lambda event: event["eventTime"])][known:]
