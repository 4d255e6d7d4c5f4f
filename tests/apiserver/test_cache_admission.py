"""Which caches a real API server accepts and rejects, and which field the error names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.specs import MINIMAL, create, deployment

FETCHED: dict[str, Any] = {"modelRepository": {"s3": {"bucket": "models"}}, "models": [{"name": "digits"}]}


def cached(**cache: Any) -> dict[str, Any]:
    """Return a spec whose models are fetched into a cache."""
    return {**FETCHED, "cache": {"size": "5Gi"} | cache}


# The spec, the field that the server names, and words of the reason.
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a cache of an image": ({**MINIMAL, "cache": {"size": "5Gi"}}, "cache", "no repository is s3 or http"),
    "a cache of a claim": (
        {
            **MINIMAL,
            "models": [{"name": "a", "modelRepository": {"pvc": {"claimName": "a"}}}],
            "cache": {"size": "1Gi"},
        },
        "cache",
        "no repository is s3 or http",
    ),
    "no size": ({**FETCHED, "cache": {}}, "cache.size", "Required value"),
    "a size without a unit": (cached(size="5"), "cache.size", "at least 1Mi"),
    "a size that is a number": (cached(size=5), "cache.size", "must be of type string"),
    "a misspelt size": (cached(size="50 GB"), "cache.size", "must be a quantity"),
    "a negative size": (cached(size="-5Gi"), "cache.size", "at least 1Mi"),
    "storage class in capitals": (cached(storageClassName="Fast"), "cache.storageClassName", "match"),
    "nobody may write": (cached(accessModes=["ReadOnlyMany"]), "cache.accessModes", "because the Job writes"),
    "one pod only may mount": (cached(accessModes=["ReadWriteOncePod"]), "cache.accessModes[0]", "Unsupported value"),
    "nobody may mount": (cached(accessModes=[]), "cache.accessModes", "at least 1 items"),
    "an access mode twice": (cached(accessModes=["ReadWriteOnce"] * 2), "cache.accessModes[1]", "Duplicate value"),
    "a request above its limit": (
        cached(resources={"requests": {"cpu": 2}, "limits": {"cpu": 1}}),
        "cache.resources.requests",
        "must not be greater than the limit",
    ),
    "egress to a host's name": (
        cached(egress={"cidrs": ["s3.example.com"]}),
        "cache.egress.cidrs[0]",
        "must be a CIDR",
    ),
    "egress to a range with a host": (
        cached(egress={"cidrs": ["10.1.2.3/8"]}),
        "cache.egress.cidrs[0]",
        "zeros after the prefix",
    ),
    "egress to no range": (cached(egress={"cidrs": []}), "cache.egress.cidrs", "at least 1 items"),
    "egress to port 0": (cached(egress={"ports": [0]}), "cache.egress.ports[0]", "greater than or equal to 1"),
    "egress to a port by name": (cached(egress={"ports": ["https"]}), "cache.egress.ports[0]", "must be of type"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_cache_is_refused_at_its_field(api: Api, namespace: str, case: str) -> None:
    """The error names the invalid field, and not one of its parents."""
    spec, field, words = BAD[case]
    with pytest.raises(RequestRefusedError) as refused:
        create(api, namespace, deployment(spec))
    assert refused.value.code == 422, refused.value
    assert words in refused.value.fields.get(f"spec.{field}", ""), refused.value.fields
    assert len(refused.value.fields) == 1, refused.value.fields


def test_a_cache_is_accepted_and_kept(api: Api, namespace: str) -> None:
    """Every field is stored; under Private, with one fetched model and one that is not."""
    egress = {"cidrs": ["203.0.113.0/24", "2001:db8::/32"], "ports": [443, 9000]}
    modes = ["ReadWriteOnce", "ReadOnlyMany"]
    cache: dict[str, Any] = {"size": "50Gi", "storageClassName": "", "accessModes": modes, "egress": egress}
    cache["resources"] = {"requests": {"cpu": "500m"}, "limits": {"cpu": "500m", "memory": "1Gi"}}
    archive = {"http": {"url": "https://example.com/linear.tar.gz"}}
    models = [{"name": "digits"}, {"name": "linear", "modelRepository": archive}]
    spec = {**MINIMAL, "models": models, "cache": cache, "replicas": 1}
    assert create(api, namespace, deployment(spec))["spec"] == spec
