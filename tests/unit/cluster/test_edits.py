"""The fields and the field managers of an edit, from the managedFields of the API server."""

from __future__ import annotations

from typing import Any

import orjson

from triton_operator.cluster.edits import Edit, find_edit, find_edit_of_data

Object = dict[str, Any]

POLICY: Object = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "digits", "namespace": "shop", "labels": {"a/b": "c"}},
    "spec": {
        "podSelector": {"matchLabels": {"x": "y"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [],
    },
}
"""What the operator applies."""
OURS = {"manager": "triton-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ingress": {}, "f:egress": {}}}}


def entry(manager: str, fields: Object, **more: str) -> Object:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


def live(*entries: Object, spec: Object | None = None, labels: Object | None = None) -> bytes:
    """The policy as the API server has it: without empty lists."""
    stored = {"podSelector": {"matchLabels": {"x": "y"}}, "policyTypes": ["Ingress", "Egress"]} | (spec or {})
    metadata = {**POLICY["metadata"], "managedFields": [OURS, *entries]}
    return orjson.dumps({"metadata": metadata | ({"labels": labels} if labels is not None else {}), "spec": stored})


def test_an_untouched_object_has_no_edit() -> None:
    assert find_edit(live(), POLICY, was_applied=True) == Edit()


def test_a_changed_field_has_its_manager() -> None:
    egress: Object = {"egress": [{}]}
    body = live(entry("kubectl-edit", {"f:spec": {"f:egress": {}}}), spec=egress)
    assert find_edit(body, POLICY, was_applied=True) == Edit(("spec.egress",), ("kubectl-edit",))


def test_several_managers_are_sorted_and_their_fields_too() -> None:
    body = live(
        entry("zed", {"f:spec": {"f:policyTypes": {}}}), entry("argocd", {"f:spec": {"f:egress": {}, "f:ingress": {}}})
    )
    expected = Edit(("spec.egress", "spec.ingress", "spec.policyTypes"), ("argocd", "zed"))
    assert find_edit(body, POLICY, was_applied=True) == expected


def test_labels_and_subresources_of_others_are_no_edits() -> None:
    body = live(
        entry("kubectl-label", {"f:metadata": {"f:labels": {"f:theirs": {}}}}),
        entry("controller", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
        labels={"a/b": "c", "theirs": "x"},
    )
    assert find_edit(body, POLICY, was_applied=True) == Edit()


def test_a_removed_field_has_no_manager() -> None:
    body = live(spec={"policyTypes": None}, labels={})
    expected = Edit(("metadata.labels[a/b]", "spec.policyTypes"))
    assert find_edit(body, POLICY, was_applied=True) == expected


def test_a_client_with_the_name_of_the_operator_is_found_by_the_values() -> None:
    body = live(entry("triton-operator", {"f:spec": {"f:egress": {}}}), spec={"egress": [{}]})
    assert find_edit(body, POLICY, was_applied=True) == Edit(("spec.egress",))


def test_differences_from_another_manifest_are_no_edits() -> None:
    """The operator is about to change the object itself."""
    body = live(entry("kubectl-edit", {"f:spec": {"f:egress": {}}}), spec={"policyTypes": ["Ingress"]})
    assert find_edit(body, POLICY, was_applied=False) == Edit(("spec.egress",), ("kubectl-edit",))


def test_a_default_of_the_api_server_is_no_difference() -> None:
    desired = POLICY | {"spec": {**POLICY["spec"], "ingress": [{"ports": [{"port": 8443}], "from": []}]}}
    stored = {"ingress": [{"ports": [{"port": 8443, "protocol": "TCP"}]}]}
    assert find_edit(live(spec=stored), desired, was_applied=True) == Edit()


def test_a_parent_with_another_owner_is_named_once() -> None:
    body = live(entry("patch", {"f:spec": {"f:podSelector": {}}}), spec={"podSelector": {"matchLabels": {"x": "z"}}})
    assert find_edit(body, POLICY, was_applied=True) == Edit(("spec.podSelector",), ("patch",))


def test_keys_of_data_are_named_without_their_values() -> None:
    manifest = {"metadata": {"name": "p", "namespace": "shop"}, "data": {"policy.json": "right"}}
    fields: Object = {"f:data": {".": {}, "f:policy.json": {}, "f:other": {}}, "f:immutable": {}}
    data = {"policy.json": "canary", "other": "canary"}
    body = orjson.dumps({"metadata": {"managedFields": [entry("mallory", fields)]}, "data": data, "immutable": True})
    edit = find_edit(body, manifest, was_applied=True)
    assert edit == Edit(("data.other", "data[policy.json]", "immutable"), ("mallory",))


def test_a_shared_object_is_judged_by_the_keys_of_one_deployment() -> None:
    metadata = {"managedFields": [entry("mallory", {"f:data": {"f:a.key": {}, "f:b.key": {}}})]}
    body = orjson.dumps({"metadata": metadata, "data": {"a.crt": "", "a.key": "", "b.key": ""}})
    assert find_edit_of_data(body, ["a.crt", "a.key"]) == Edit(("data[a.key]",), ("mallory",))
    assert find_edit_of_data(body, ["b.crt", "b.key"]) == Edit(("data[b.crt]", "data[b.key]"), ("mallory",))
    unknown = orjson.dumps({"metadata": {}, "data": {"a.crt": "", "a.key": ""}})
    assert find_edit_of_data(unknown, ["a.crt", "a.key"]) == Edit(("data[a.crt]", "data[a.key]"))
