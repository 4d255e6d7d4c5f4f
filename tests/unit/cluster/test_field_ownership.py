"""Whether an apply would change an object, determined from the fields that the operator's applies own."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.stored_objects import LABELS, OWNER, a_stored, encode, managed
from triton_operator.cluster.field_ownership import manifest_digest
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.projection import project_child

OWNED: dict[str, Any] = {
    "f:metadata": {
        "f:labels": {f"f:{key}": {} for key in LABELS},
        "f:ownerReferences": {'k:{"uid":"uid-of-digits"}': {}},
    },
    "f:spec": {
        "f:containers": {
            'k:{"name":"triton"}': {
                ".": {},
                "f:name": {},
                "f:args": {},
                "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                "f:resources": {"f:limits": {"f:cpu": {}, "f:memory": {}}},
                "f:stdin": {},
            }
        },
        "f:emptyDir": {},
        "f:finalizers": {'v:"keep"': {}},
        "f:rules": {},
    },
}
SPEC: dict[str, Any] = {
    "containers": [
        {
            "name": "triton",
            "args": ["--a", "--b"],
            "env": [{"name": "A", "value": "1"}],
            "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
            "stdin": False,
            "ports": [],
        }
    ],
    "emptyDir": {},
    "finalizers": ["keep"],
    "rules": [],
}


def a_manifest() -> dict[str, Any]:
    """The applied manifest."""
    metadata = {"name": "digits", "namespace": "shop", "labels": LABELS, "ownerReferences": [OWNER]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(SPEC)}


def a_live_object(fields: dict[str, Any] = OWNED) -> dict[str, Any]:
    """The stored object: with defaults, normalized quantities and no empty fields."""
    spec = copy.deepcopy(SPEC)
    triton = spec["containers"][0]
    triton |= {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "imagePullPolicy": "Always"}
    del triton["stdin"], triton["ports"], spec["rules"]
    return a_stored("Pod", managed(fields), spec={**spec, "dnsPolicy": "ClusterFirst"}, status={"phase": "Running"})


def _owned_digest(live: dict[str, Any]) -> str:
    """The same for a Deployment, of which some parts are cached, as for any other kind."""
    kinds = (Kind.SERVICE, Kind.DEPLOYMENT, Kind.DEPLOYMENT)
    (digest,) = {project_child(kind, encode(live), with_owned=True).owned for kind in kinds}
    return digest


def test_an_object_that_an_apply_would_not_change_is_recognized() -> None:
    assert _owned_digest(a_live_object()) == manifest_digest(a_manifest())


@pytest.mark.parametrize(
    "desired",
    [
        {"emptyDir": {"medium": "Memory"}},
        {"finalizers": ["keep", "another"]},
        {"rules": [{}]},
        {"containers": [{**SPEC["containers"][0], "args": ["--b", "--a"]}]},
        {"containers": [{**SPEC["containers"][0], "stdin": True}]},
        {"containers": [{**SPEC["containers"][0], "env": []}]},
        {"containers": [*SPEC["containers"], {"name": "another"}]},
        {"containers": [{**SPEC["containers"][0], "resources": {"limits": {"cpu": "1", "memory": "1025Mi"}}}]},
    ],
)
def test_another_manifest_is_none_that_was_applied(desired: dict[str, Any]) -> None:
    manifest = a_manifest()
    manifest["spec"] |= desired
    assert _owned_digest(a_live_object()) != manifest_digest(manifest)


def _edited(place: str, value: Any) -> dict[str, Any]:
    live = a_live_object()
    at: Any = live
    *parents, last = place.split("/")
    for parent in parents:
        at = at[int(parent)] if isinstance(at, list) else at[parent]
    at[last] = value
    return live


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("spec/containers/0/args", ["--evil"]),
        ("spec/containers/0/env", []),
        ("spec/containers/0/env", [{"name": "A", "value": "2"}]),
        ("spec/containers/0/stdin", True),
        ("spec/containers", []),
        ("spec/rules", [{"from": []}]),
        ("spec/finalizers", []),
        ("metadata/labels", {**LABELS, "triton-operator.io/model-deployment": "another"}),
        ("metadata/ownerReferences", []),
    ],
)
def test_a_value_that_is_another_than_the_applied_one_is_noticed(place: str, value: Any) -> None:
    assert _owned_digest(_edited(place, value)) != manifest_digest(a_manifest())


@pytest.mark.parametrize("lost", ["f:emptyDir", "f:rules", "f:finalizers"])
def test_a_field_that_is_ours_no_more_is_noticed_even_with_the_same_value(lost: str) -> None:
    """Another client changed or removed it; the operator takes it back even if the value is equal."""
    spec = {key: value for key, value in OWNED["f:spec"].items() if key != lost}
    assert _owned_digest(a_live_object({**OWNED, "f:spec": spec})) != manifest_digest(a_manifest())


def test_a_label_of_others_and_defaults_make_no_difference() -> None:
    live = _edited("metadata/labels", {**LABELS, "team": "vision"})
    assert _owned_digest(live) == manifest_digest(a_manifest())


def test_without_an_entry_of_ours_nothing_is_recognized() -> None:
    assert _owned_digest(a_stored("Pod", managed({}, manager="kubectl"))) == ""
    assert _owned_digest(a_stored("Pod", managed(OWNED, operation="Update"))) == ""
    assert _owned_digest(a_stored("Pod", managed(OWNED, subresource="status"))) == ""


def test_fields_that_cannot_be_decoded_are_not_recognized() -> None:
    assert _owned_digest(a_live_object({**OWNED, "f:spec": {"f:containers": {"k:name": {}}}})) == ""
    assert _owned_digest(a_live_object({**OWNED, "f:another": {}})) == ""


def test_the_data_of_a_revision_is_not_compared() -> None:
    """It is immutable, and the object's name is its hash; the number is compared."""
    fields = {"f:metadata": OWNED["f:metadata"], "f:data": {}, "f:revision": {}}
    live = a_stored("ControllerRevision", managed(fields), data={"config": 1}, revision=3)
    manifest = {"kind": "ControllerRevision", "metadata": a_manifest()["metadata"], "data": {"config": 2}}
    owned = project_child(Kind.REVISION, encode(live), with_owned=True).owned
    assert owned == manifest_digest({**manifest, "revision": 3})
    assert owned != manifest_digest({**manifest, "revision": 4})
