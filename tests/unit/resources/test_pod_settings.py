"""The user's settings of all pods: their account, names of hosts, and the pull policy, in Deployment and Job."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from tests.builders import SETTINGS, a_deployment
from triton_operator.api.errors import InvalidSpecError
from triton_operator.reconcile.validate import validate
from triton_operator.resources.applied_defaults import applied_defaults
from triton_operator.resources.build import render
from triton_operator.resources.cache_content import recipe
from triton_operator.resources.revision import inputs_hash

FETCHED: dict[str, Any] = {"modelRepository": {"s3": {"bucket": "models"}}, "cache": {"size": "1Gi"}}
DNS = {"nameservers": ["10.0.0.53"], "searches": ["example.com"], "options": [{"name": "ndots", "value": "2"}]}
ALIASES = [{"ip": "10.20.0.5", "hostnames": ["models.example.com", "models"]}]
SETTINGS_OF_PODS: list[dict[str, Any]] = [
    {"imagePullPolicy": "Always"},
    {"serviceAccount": {"name": "models"}},
    {"dnsConfig": DNS},
    {"hostAliases": ALIASES},
]
ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/models"}


def _children(**spec: Any) -> dict[str, dict[str, Any]]:
    children = {each["kind"]: each for each in render(a_deployment(**(FETCHED | spec)), SETTINGS)}
    for kind in ("Deployment", "Job"):
        kubernetes_validate.validate(children[kind], "1.35", strict=True)
    return children


def _pods(**spec: Any) -> list[dict[str, Any]]:
    """The pod of the Deployment, and that of the Job."""
    children = _children(**spec)
    return [children[kind]["spec"]["template"]["spec"] for kind in ("Deployment", "Job")]


def _refusal(**spec: Any) -> str:
    with pytest.raises(InvalidSpecError) as refused:
        validate(a_deployment(**spec).spec)
    return str(refused.value)


def test_the_resolver_and_the_hosts_are_those_of_all_pods() -> None:
    for pod in _pods(dnsConfig=DNS, hostAliases=ALIASES):
        assert (pod["dnsConfig"], pod["hostAliases"]) == (DNS, ALIASES)


def test_every_container_has_the_pull_policy() -> None:
    for pod in _pods(imagePullPolicy="Always"):
        containers = pod.get("initContainers", []) + pod["containers"]
        assert {each["name"]: each["imagePullPolicy"] for each in containers} in (
            {"prepare": "Always", "proxy": "Always", "triton": "Always"},
            {"prepare": "Always"},
        )


def test_a_named_account_is_used_without_a_token_and_not_created() -> None:
    assert "ServiceAccount" not in _children(serviceAccount={"name": "models"})
    for pod in _pods(serviceAccount={"name": "models"}):
        assert pod["serviceAccountName"] == "models"
        assert pod["automountServiceAccountToken"] is False


def test_the_account_of_the_operator_has_the_name_of_the_object() -> None:
    assert _children()["ServiceAccount"]["metadata"]["name"] == "digits"
    assert [pod["serviceAccountName"] for pod in _pods()] == ["digits", "digits"]


def test_the_account_of_the_operator_cannot_be_named() -> None:
    """Its owner would seem to be the user, but the operator deletes it with the object."""
    spec = a_deployment(serviceAccount={"name": "digits"}).spec
    with pytest.raises(InvalidSpecError, match=r"^spec\.serviceAccount\.name: digits is the account that the operator"):
        validate(spec, "digits")
    validate(spec, "letters")


def test_annotations_of_the_account_connect_it_to_an_identity_of_a_cloud() -> None:
    """They change no pod, so they start no rollout."""
    children = _children(serviceAccount={"annotations": ROLE})
    assert children["ServiceAccount"]["metadata"]["annotations"] == ROLE
    assert children["ServiceAccount"]["automountServiceAccountToken"] is False
    assert children["Deployment"] == _children()["Deployment"]
    annotated = a_deployment(serviceAccount={"annotations": ROLE}).spec
    assert inputs_hash(annotated) == inputs_hash(a_deployment().spec)


def test_annotations_without_effect_and_of_kubernetes_are_rejected_at_once() -> None:
    annotations = {**ROLE, "kubernetes.io/enforce-mountable-secrets": "true"}
    message = _refusal(serviceAccount={"name": "models", "annotations": annotations})
    assert message.startswith("spec.serviceAccount.annotations: belong to the account that the operator creates")
    assert "annotate the account models itself" in message
    assert "spec.serviceAccount.annotations[kubernetes.io/enforce-mountable-secrets]: is reserved" in message


@pytest.mark.parametrize("change", SETTINGS_OF_PODS, ids=lambda change: next(iter(change)))
def test_a_change_starts_a_rollout_and_replaces_the_job(change: dict[str, Any]) -> None:
    before, after = a_deployment(**FETCHED), a_deployment(**FETCHED, **change)
    assert inputs_hash(before.spec) != inputs_hash(after.spec)
    assert recipe(before.spec) != recipe(after.spec)
    hashes = [
        _children(**each)["Deployment"]["spec"]["template"]["metadata"]["labels"]["triton-operator.io/revision"]
        for each in ({}, change)
    ]
    assert hashes[0] != hashes[1]


def test_unset_settings_change_nothing() -> None:
    unset = {"dnsConfig": {"nameservers": []}, "hostAliases": [], "serviceAccount": {}}
    assert _pods(**unset) == _pods()
    assert not any({"dnsConfig", "hostAliases"} & pod.keys() for pod in _pods())


def test_the_default_account_is_listed() -> None:
    def listed(**spec: Any) -> list[str]:
        choices = applied_defaults(a_deployment(**spec), SETTINGS)
        return [each.value for each in choices if each.field == "spec.serviceAccount.name"]

    assert listed() == ["digits"]
    assert listed(serviceAccount={"name": "models"}) == []
