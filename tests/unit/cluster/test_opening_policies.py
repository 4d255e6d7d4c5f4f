"""Which NetworkPolicies of others open the pods of a deployment, and for which deployments a change of one matters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.builders import a_body, a_pod
from triton_operator.cluster.label_selector import StoredSelector
from triton_operator.cluster.object_cache import ObjectCache
from triton_operator.cluster.observed import Child, Kind
from triton_operator.cluster.policy_projection import ObservedPolicy, project_policy

DIGITS, OTHER = ("shop", "digits"), ("shop", "other")
DEPLOYMENT = "triton-operator.io/model-deployment"


def stored(**spec: Any) -> bytes:
    """A NetworkPolicy as the API server writes it."""
    metadata = {"namespace": "shop", "name": "extra", "uid": "u", "resourceVersion": "7", "labels": {"team": "shop"}}
    return msgspec.json.encode({"metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, False, False),
        ({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}, False, False),
        ({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}, True, False),
        ({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53}]}]}, False, True),
        ({"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]}, False, False),
        ({"podSelector": {}, "policyTypes": ["Egress"], "ingress": [{}]}, False, False),
        ({"ingress": [{}], "egress": [{}]}, True, True),
    ],
)
def test_a_policy_allows_traffic_by_its_rules_in_the_directions_that_it_has(
    spec: dict[str, Any],
    ingress: bool,
    egress: bool,
) -> None:
    policy = project_policy(stored(**spec))
    assert (policy.allows_ingress, policy.allows_egress) == (ingress, egress)
    assert (policy.namespace, policy.name, policy.uid, policy.resource_version) == ("shop", "extra", "u", 7)


def a_policy(version: int = 1, uid: str = "u", namespace: str = "shop", **fields: Any) -> ObservedPolicy:
    """A policy of somebody else that allows egress; `labels` are its matchLabels."""
    labels = fields.pop("labels", {})
    defaults: dict[str, Any] = {"name": "extra", "allows_egress": True, "selector": StoredSelector(match_labels=labels)}
    return ObservedPolicy(namespace=namespace, uid=uid, resource_version=version, **(defaults | fields))


def a_cache(*policies: ObservedPolicy) -> ObjectCache:
    """The deployments `digits` and `other`, and these policies."""
    cache = ObjectCache()
    for name in ("digits", "other"):
        cache.deployments.put(a_body(name))
    for policy in policies:
        cache.policies.put(policy)
    return cache


def opening(cache: ObjectCache, key: tuple[str, str] = DIGITS) -> list[str]:
    return [policy.name for policy in cache.snapshot(key, datetime.now(UTC)).opening_policies]


@pytest.mark.parametrize(
    ("policy", "digits", "other"),
    [
        (a_policy(), True, True),
        (a_policy(allows_egress=False), False, False),
        (a_policy(namespace="elsewhere"), False, False),
        (a_policy(labels={"team": "bank"}), False, False),
        (a_policy(labels={"app.kubernetes.io/name": "triton"}), True, True),
        (a_policy(labels={DEPLOYMENT: "digits"}), True, False),
        (a_policy(labels={DEPLOYMENT: "digits", "team": "bank"}), False, False),
    ],
)
def test_a_policy_opens_the_pods_that_it_selects(
    policy: ObservedPolicy,
    digits: bool,
    other: bool,
) -> None:
    cache = a_cache(policy)
    assert (opening(cache), opening(cache, OTHER)) == (["extra"] * digits, ["extra"] * other)
    assert cache.affected_by(policy) == {key for key, opened in ((DIGITS, digits), (OTHER, other)) if opened}


def test_a_label_that_somebody_adds_to_a_pod_counts() -> None:
    policy = a_policy(labels={"team": "bank"})
    cache = a_cache(policy)
    cache.pods.put(a_pod(revision="r", labels={DEPLOYMENT: "digits", "team": "bank"}))
    assert (opening(cache), opening(cache, OTHER)) == (["extra"], [])


def test_the_operators_own_policy_does_not_count_and_one_with_its_labels_does() -> None:
    own = a_policy(uid="own", name="digits", labels={DEPLOYMENT: "digits"})
    forged = a_policy(uid="forged", name="digits-extra", labels={DEPLOYMENT: "digits"})
    cache = a_cache(own, forged)
    common: dict[str, Any] = {"kind": Kind.NETWORK_POLICY, "namespace": "shop", "deployment": "digits"}
    cache.children.put(Child(**common, name="digits", uid="own", owner_uid="uid-of-digits", resource_version=1))
    cache.children.put(Child(**common, name="digits-extra", uid="forged", resource_version=1))
    assert opening(cache) == ["digits-extra"]


def test_a_change_is_reported_with_what_was_there_before() -> None:
    """The deployments that a policy no longer selects matter as well."""
    before, after = a_policy(1, labels={DEPLOYMENT: "digits"}), a_policy(2, labels={DEPLOYMENT: "other"})
    cache = a_cache(before)
    assert cache.policies.put(after) == [before, after]
    assert (opening(cache), opening(cache, OTHER)) == ([], ["extra"])
    assert cache.policies.put(before) == [], "a late event"
    assert cache.policies.put(a_policy(3, labels={DEPLOYMENT: "other"})) == [], "only the version differs"
    assert cache.policies.remove(after) == [a_policy(3, labels={DEPLOYMENT: "other"})]
    assert opening(cache, OTHER) == []


def test_a_list_removes_what_it_does_not_contain_unless_that_is_newer() -> None:
    kept, gone, newer = a_policy(1, "kept", name="a"), a_policy(2, "gone", name="b"), a_policy(9, "newer", name="c")
    elsewhere = a_policy(1, "elsewhere", "bank")
    cache = a_cache(kept, gone, newer, elsewhere)
    assert cache.policies.replace([kept], "shop", as_of=5) == [gone]
    assert opening(cache) == ["a", "c"]
    assert cache.policies.candidates(("bank", "digits")) == [elsewhere]
