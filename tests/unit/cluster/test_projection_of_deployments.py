"""The projection of a ModelDeployment: its identity, and a spec and a status of limited size."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from tests.builders import a_body
from triton_operator.api.errors import InvalidSpecError
from triton_operator.cluster.deployment_projection import MOST_BYTES, MOST_LEVELS, project_deployment, spec_digest
from triton_operator.cluster.object_cache import ObjectCache

KEY = ("models", "digits")


def stored(spec: bytes = b"", status: bytes = b"{}", **metadata: Any) -> bytes:
    """As the API server stores it; `spec` is in a field that is passed through unchanged."""
    body = a_body()
    body["metadata"] |= {"name": "digits", "namespace": "models", "uid": "u", "resourceVersion": "7"} | metadata
    body["spec"]["scheduling"] = {"affinity": {"nodeAffinity": "SPEC"}} if spec else {}
    body["status"] = "STATUS"
    return orjson.dumps(body).replace(b'"SPEC"', spec or b'"SPEC"').replace(b'"STATUS"', status)


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_an_ordinary_object_is_kept_without_what_nobody_reads() -> None:
    item = stored(annotations={"note": "x" * 200_000}, managedFields=[{"manager": "kubectl"}], generation=3)
    body = orjson.loads(project_deployment(item))
    original = orjson.loads(item)
    assert (body["spec"], body["kind"]) == (original["spec"], original["kind"])
    assert body["metadata"] == {
        "name": "digits",
        "namespace": "models",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 3,
        "specDigest": spec_digest(item),
    }
    assert "unreadable" not in body


@pytest.mark.parametrize("levels", [MOST_LEVELS, 985, 5_000, 9_900])
def test_a_spec_that_is_too_deep_is_rejected_by_name(levels: int) -> None:
    """Its managed fields are equally deep."""
    item = stored(nested(levels)).replace(b'"uid":"u"', b'"uid":"u","managedFields":[' + nested(levels) + b"]")
    assert refusal(item) == f"spec: is nested deeper than {MOST_LEVELS} levels"


def test_a_spec_that_is_too_large_is_rejected_and_costs_nothing() -> None:
    item = stored(b'{"a":"' + b"x" * 900_000 + b'"}')
    assert refusal(item).startswith("spec: is 87")
    assert len(project_deployment(item)) < 1000


def test_a_status_beyond_all_bounds_counts_as_none() -> None:
    """The operator replaces it."""
    for status in (nested(2_000), b'{"a":"' + b"x" * MOST_BYTES + b'"}'):
        body = orjson.loads(project_deployment(stored(status=status)))
        assert body["status"] is None
        assert body["spec"]


def test_what_is_no_object_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        project_deployment(b'{"metadata":5}')


def refusal(item: bytes) -> str:
    """The record in the cache."""
    cache = ObjectCache()
    cache.deployments.put(orjson.loads(project_deployment(item)))
    known = cache.deployments.get(KEY)
    assert known
    assert isinstance(known.deployment, InvalidSpecError)
    return str(known.deployment)
