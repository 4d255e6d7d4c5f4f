"""What a real API server accepts and refuses under the profile AirGapped, and that it lists everything at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import NOTHING, changed, create, deployment
from tests.builders import AIR_GAPPED, AIR_GAPPED_SETTINGS, BY_DIGEST, a_deployment
from triton_operator.resources.air_gap import PRIVATE_RANGES, find_missing

GOOD: dict[str, Any] = {**AIR_GAPPED, "models": [{"name": "digits"}]}
FETCHED: dict[str, Any] = {
    **GOOD,
    "modelRepository": {"s3": {"bucket": "models", "endpoint": "https://s3.example.com"}},
    "cache": {"size": "1Gi", "egress": {"cidrs": ["10.20.0.0/16", "fd00:1::/64"]}},
}
OWN = [{"name": name, "modelRepository": {"image": {"reference": f"models:{name}"}}} for name in ("a", "b")]
DIGEST = "must be referenced by digest (@sha256:…) under the profile AirGapped"
CIDRS = "must contain private addresses"

ADDRESS = "must contain a private IP address"


def with_vault(address: str, *cidrs: str) -> dict[str, Any]:
    """A spec whose key is in a vault."""
    peers: list[dict[str, Any]] = [{"podSelector": {}}, *({"ipBlock": {"cidr": cidr}} for cidr in cidrs)]
    vault = {"address": address, "role": "digits", "key": "models", "egress": {"to": peers}}
    spec = changed(GOOD, "resources", {"limits": {"memory": "2Gi"}})
    return changed(spec, "decryption", {"vault": vault, "memory": "1Gi"})


# The spec, the field that the server names, the message, and the field that the operator names.
BAD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a tagged repository": (
        changed(GOOD, "modelRepository.image.reference", "models:v1"),
        "modelRepository.image.reference",
        DIGEST,
        "modelRepository.image.reference",
    ),
    "a tagged repository of a model": (
        changed(GOOD, "models", OWN[:1]),
        "models",
        "must have images that are referenced by digest",
        "models[0].modelRepository.image.reference",
    ),
    "a tagged server": (
        changed(GOOD, "triton", {"image": "tritonserver:26.11-py3"}),
        "triton.image",
        DIGEST,
        "triton.image",
    ),
    "no signatures": (
        changed(GOOD, "verification", NOTHING),
        "verification.keys",
        "must contain the public keys of the signers of the models",
        "verification.keys",
    ),
    "a scan, but no key": (
        changed(GOOD, "verification", {"scan": "Refuse"}),
        "verification.keys",
        "must contain the public keys of the signers of the models",
        "verification.keys",
    ),
    "a public nameserver": (
        changed(GOOD, "dnsConfig", {"nameservers": ["10.0.0.53", "203.0.113.53"]}),
        "dnsConfig.nameservers",
        CIDRS,
        "dnsConfig.nameservers",
    ),
    "optional signatures": (
        changed(GOOD, "verification.require", False),
        "verification.require",
        "must not be false",
        "verification.require",
    ),
    "a cache without addresses": (
        changed(FETCHED, "cache.egress", NOTHING),
        "cache.egress.cidrs",
        CIDRS,
        "cache.egress.cidrs",
    ),
    **{
        f"a cache with {cidr}": (
            changed(FETCHED, "cache.egress.cidrs", ["10.0.0.0/8", cidr]),
            "cache.egress.cidrs",
            CIDRS,
            "cache.egress.cidrs",
        )
        for cidr in ("203.0.113.0/24", "10.0.0.0/7", "0.0.0.0/0", "169.254.169.254/32", "2001:db8::/32", "::/0")
    },
    **{
        f"a vault at {host}": (
            with_vault(f"https://{host}:8200"),
            "decryption.vault.address",
            ADDRESS,
            "decryption.vault.address",
        )
        for host in (
            "vault",
            "9.9.9.9",
            "172.32.0.1",
            "100.128.0.1",
            "169.254.1.1",
            "10.0.0.1.example",
            "[2001:db8::1]",
        )
    },
    "a vault that opens more": (
        with_vault("https://10.0.0.5", "10.0.0.5/32", "203.0.113.0/24"),
        "decryption.vault.egress.to",
        CIDRS,
        "decryption.vault.egress.to",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_the_server_and_the_operator_refuse_the_same(api: Api, namespace: str, case: str) -> None:
    """The operator's rule applies to objects that are older than the rule of the API server. Private accepts all."""
    spec, field, words, own_field = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert f"spec.{field}: " in str(refused.value)
    assert words in str(refused.value)
    assert [each.path for each in find_missing(a_deployment(**spec).spec)] == [f"spec.{own_field}"]
    create(api, namespace, deployment(changed(spec, "privacy.profile", "Private")))


@pytest.mark.parametrize(
    "spec",
    [
        GOOD,
        FETCHED,
        changed(FETCHED, "cache.egress.cidrs", list(PRIVATE_RANGES)),
        changed(GOOD, "triton", {"image": f"tritonserver:26.11-py3{BY_DIGEST}"}),
        changed(GOOD, "modelRepository", {"pvc": {"claimName": "models"}}),
        changed(GOOD, "verification.require", True),
        with_vault("https://172.31.0.1", "172.31.0.0/16"),
        with_vault("https://100.127.0.1:8200"),
        with_vault("https://[fd00::5]:8200", "fd00::5/128"),
    ],
)
def test_what_is_complete_is_accepted(api: Api, namespace: str, spec: dict[str, Any]) -> None:
    create(api, namespace, deployment(spec))
    assert find_missing(a_deployment(**spec).spec, AIR_GAPPED_SETTINGS) == []


def test_everything_that_is_missing_is_listed_at_once(api: Api, namespace: str) -> None:
    spec = {
        "modelRepository": {"image": {"reference": "models:v1"}},
        "models": OWN,
        "triton": {"image": "tritonserver:26.11-py3"},
        "privacy": {"profile": "AirGapped"},
    }
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    for part in (
        "spec.modelRepository.image.reference: ",
        "spec.models: ",
        "spec.triton.image: ",
        "spec.verification.keys: ",
    ):
        assert part in str(refused.value)


def test_a_deployment_cannot_become_air_gapped_without_what_is_missing(api: Api, namespace: str) -> None:
    path = f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments/digits"
    create(api, namespace, deployment(changed(changed(GOOD, "verification", NOTHING), "privacy.profile", "Private")))
    change: dict[str, Any] = {"spec": {"privacy": {"profile": "AirGapped"}}}
    with pytest.raises(RequestRefusedError, match=r"spec\.verification"):
        api.merge(path, change)
    api.merge(path, {"spec": {**change["spec"], "verification": GOOD["verification"]}})
