"""The part of a spec that a revision stores: it renders the same pods, and contains nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.builders import AIR_GAPPED, SETTINGS, a_deployment
from triton_operator.api.spec import Spec
from triton_operator.resources.build import render_new_revision
from triton_operator.resources.revision import decode_revision, inputs_hash
from triton_operator.resources.revision_spec import (
    MOST_BYTES,
    stored_spec,
    with_pods_of,
    with_protection_of,
)

VAULT = {"address": "https://vault:8200", "role": "serving", "key": "models"}
PODS: dict[str, dict[str, Any]] = {
    "models": {"models": [{"name": "other"}]},
    "repository": {"modelRepository": {"image": {"reference": "example.org/models:2"}}},
    "verification": {"verification": AIR_GAPPED["verification"]},
    "decryption": {"decryption": {"memory": "1Gi", "vault": VAULT}},
    "cache": {"cache": {"size": "1Gi"}},
    "gpu": {"gpu": {"count": 2}},
    "resources": {"resources": {"limits": {"cpu": "2"}}},
    "prepare": {"prepare": {"resources": {"limits": {"cpu": "2"}}}},
    "pull secrets": {"imagePullSecrets": [{"name": "registry"}]},
    "pull policy": {"imagePullPolicy": "Always"},
    "account": {"serviceAccount": {"name": "serving"}},
    "DNS": {"dnsConfig": {"searches": ["example.org"]}},
    "hosts": {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["models"]}]},
    "env": {"env": [{"name": "A", "value": "1"}], "envFrom": [{"configMapRef": {"name": "more"}}]},
    "pod metadata": {"podLabels": {"team": "vision"}, "podAnnotations": {"note": "mine"}},
    "triton": {"triton": {"logLevel": "Warning", "openEndpoints": ["Statistics"]}},
    "scheduling": {"scheduling": {"nodeSelector": {"zone": "a"}}},
    "lifecycle": {"lifecycle": {"startupTimeoutSeconds": 90, "preStopSeconds": 1, "terminationGracePeriodSeconds": 70}},
    "template": {"podTemplate": {"spec": {"containers": [{"name": "side", "image": "example.org/side:1"}]}}},
    "restart": {"rollout": {"restartedAt": "2026-11-30T21:00:00Z"}},
    "profile": {"privacy": {"profile": "Open"}},
    "TLS": {"privacy": {"tls": {"mode": "Disabled"}}},
    "proxy": {"privacy": {"proxy": {"resources": {"limits": {"cpu": "1"}}}}},
}
OTHERS: dict[str, Any] = {
    "replicas": 4,
    "autoscaling": {"maxReplicas": 9},
    "suspend": True,
    "adopt": "Matching",
    "exposure": {"ingress": {"host": "digits.example.com"}},
    "service": {"type": "NodePort"},
    "rollout": {"strategy": "Recreate", "paused": True},
    "serviceAccount": {"annotations": {"note": "mine"}},
    "privacy": {"clients": [{"name": "shop", "serviceAccount": {"name": "shop"}}], "audit": "All"},
}
"""Fields that a revision does not have."""


def spec_of(**fields: Any) -> Spec:
    return a_deployment(**fields).spec


@pytest.mark.parametrize("change", PODS.values(), ids=PODS)
def test_a_spec_with_the_pods_of_another_has_its_hash_and_keeps_the_rest(change: dict[str, Any]) -> None:
    """In both directions, so that a field that is set is also removed again."""
    changed, plain = spec_of(**change), spec_of(**OTHERS)
    assert inputs_hash(changed) != inputs_hash(plain)
    there = with_pods_of(plain, changed)
    assert inputs_hash(there) == inputs_hash(changed)
    assert with_pods_of(there, plain) == plain


def test_every_field_of_a_spec_either_belongs_to_a_revision_or_does_not() -> None:
    """A new field needs a decision: add it to `PODS` or to `OTHERS`, and to `with_pods_of` if it affects pods."""
    tested = {name for change in PODS.values() for name in change} | set(OTHERS)
    assert {field.encode_name for field in msgspec.structs.fields(Spec)} == tested


@pytest.mark.parametrize("change", PODS.values(), ids=PODS)
def test_the_stored_spec_renders_the_same_pods(change: dict[str, Any]) -> None:
    stored = stored_spec(spec_of(**change))
    assert inputs_hash(msgspec.convert(stored, Spec)) == inputs_hash(spec_of(**change))


def test_only_what_affects_pods_is_stored() -> None:
    assert stored_spec(spec_of(**OTHERS)) == {
        "modelRepository": {"image": {"reference": "example.org/models:1"}},
        "models": [{"name": "digits"}],
    }


def test_a_revision_has_the_spec_after_it_was_stored() -> None:
    revision = render_new_revision(a_deployment(replicas=3, gpu={"count": 1}), SETTINGS)
    assert revision.spec == stored_spec(spec_of(gpu={"count": 1}))
    assert decode_revision(revision.encoded) == revision


def test_a_revision_without_a_spec_keeps_its_name() -> None:
    """Revisions of earlier operators have none, and the name of the object is a hash of its content."""
    revision = render_new_revision(a_deployment(), SETTINGS)
    earlier = msgspec.structs.replace(revision, spec=msgspec.UNSET)
    assert b'"spec":{"modelRepository"' not in earlier.encoded
    assert decode_revision(earlier.encoded).object_name("digits") == earlier.object_name("digits")


def test_a_huge_spec_is_not_stored() -> None:
    def labelled(size: int) -> Spec:
        return spec_of(podAnnotations={"note": "x" * size})

    assert stored_spec(labelled(MOST_BYTES - 1000)) is not msgspec.UNSET
    assert stored_spec(labelled(MOST_BYTES)) is msgspec.UNSET


def test_what_does_not_affect_the_pods_of_a_feature_remains() -> None:
    """The issuer and the permitted destinations are those of the current spec."""

    def with_features(issuer: str, cidr: str, size: str) -> Spec:
        return spec_of(
            cache={"size": size, "egress": {"cidrs": [cidr]}},
            decryption={"memory": size, "vault": VAULT | {"egress": {"ports": [int(cidr[-1])]}}},
            privacy={"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": issuer}}}},
        )

    old = with_features("old", "192.0.2.0/31", "1Gi")
    assert with_pods_of(with_features("new", "192.0.2.0/32", "2Gi"), old) == with_features("new", "192.0.2.0/32", "1Gi")
    assert with_pods_of(spec_of(), old) == old


def test_the_protection_of_data_can_be_that_of_another_spec() -> None:
    private, exposed = spec_of(verification=AIR_GAPPED["verification"]), spec_of(privacy={"profile": "Open"})
    restored = with_protection_of(with_pods_of(private, exposed), private)
    assert (restored.privacy.profile, restored.verification) == (private.privacy.profile, private.verification)
