"""Request bodies of the operator: replacements and Events."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.stored_objects import OWNER, a_stored, a_stored_deployment, managed
from triton_operator.cluster.event_objects import build_event, shorten
from triton_operator.cluster.replacement import has_update_entries, replacement, without_update_entries

Object = dict[str, Any]

OURS = managed({"f:metadata": {"f:labels": {"f:mine": {}, "f:dropped": {}}}, "f:spec": {"f:ports": {}}})
THEIRS = managed({"f:metadata": {"f:labels": {"f:theirs": {}}}, "f:spec": {"f:externalIPs": {}}}, "kubectl", "Update")


def a_manifest(kind: str, **content: Any) -> Object:
    """A manifest as `resources` builds it."""
    metadata = {"name": "digits", "namespace": "shop", "labels": {"mine": "1"}, "ownerReferences": [OWNER]}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}


def test_labels_of_others_stay_and_labels_we_dropped_go() -> None:
    """The entries of managedFields distinguish formerly applied labels from those of others."""
    labels = {"mine": "0", "dropped": "x", "theirs": "x"}
    finalizers = ["service.kubernetes.io/load-balancer-cleanup"]
    live = a_stored("Service", OURS, THEIRS, metadata={"labels": labels, "finalizers": finalizers}, spec={})
    metadata = replacement(live, a_manifest("Service", spec={}))["metadata"]
    assert metadata["labels"] == {"mine": "1", "theirs": "x"}
    assert metadata["finalizers"] == finalizers
    assert (metadata["uid"], metadata["resourceVersion"]) == ("uid-of-child", "4711")


def test_owners_of_others_stay_beside_ours() -> None:
    """The operator's owner reference occurs once."""
    other = {**OWNER, "uid": "another", "controller": False}
    live = a_stored("Service", metadata={"ownerReferences": [other, {**OWNER, "controller": False}]}, spec={})
    assert replacement(live, a_manifest("Service", spec={}))["metadata"]["ownerReferences"] == [OWNER, other]


def test_others_lose_the_content_and_keep_their_labels() -> None:
    """Entries of subresources and of the operator's two managers are kept; empty ones are removed."""
    status = managed({"f:status": {}}, "cloud", "Update", "status")
    scale = managed({"f:spec": {"f:replicas": {}}}, "triton-operator-scale")
    content_only = managed({"f:spec": {"f:externalIPs": {}}}, "kubectl", "Update")
    live = a_stored("Service", OURS, THEIRS, status, scale, content_only, spec={})
    entries = replacement(live, a_manifest("Service", spec={}))["metadata"]["managedFields"]
    labels_only = {**THEIRS, "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}}
    assert entries == [OURS, labels_only, status, scale]


def test_a_deployment_keeps_replicas_only_if_the_manifest_has_none() -> None:
    """The autoscaler's number survives the replacement."""
    live = a_stored_deployment(replicas=7)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    assert replacement(live, a_manifest("Deployment", spec={"template": template}))["spec"]["replicas"] == 7
    desired = {"template": template, "replicas": 1}
    assert replacement(live, a_manifest("Deployment", spec=desired))["spec"]["replicas"] == 1


def test_a_rollout_restart_outlives_a_replacement() -> None:
    """The annotation of the pod template and its entry belong to kubectl."""
    restarted: Object = {"f:template": {"f:metadata": {"f:annotations": {"f:restartedAt": {}}}, "f:spec": {}}}
    live = a_stored_deployment(managed({"f:spec": restarted}, "kubectl-rollout", "Update"))
    live["spec"]["template"]["metadata"]["annotations"] = {"restartedAt": "now"}
    desired = {"template": {"metadata": {"annotations": {"mine": "1"}}, "spec": {}}}
    body = replacement(live, a_manifest("Deployment", spec=desired))
    assert body["spec"]["template"]["metadata"]["annotations"] == {"restartedAt": "now", "mine": "1"}
    (entry,) = body["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:restartedAt": {}}}}}}


def test_update_entries_of_the_operator_are_removed() -> None:
    """Entries of others and of subresources are kept."""
    update = managed({"f:spec": {}}, operation="Update")
    others = [OURS, THEIRS, managed({"f:status": {}}, operation="Update", subresource="status")]
    assert has_update_entries(a_stored("Service", *others, update))
    cleaned = without_update_entries(a_stored("Service", *others, update))
    assert cleaned["metadata"]["managedFields"] == others
    assert not has_update_entries(cleaned)


def test_an_event_names_its_object_and_its_author() -> None:
    """A generated name distinguishes two Events of the same moment."""
    event = build_event("shop", "digits", "uid-1", note="hello", type="Normal", reason="Serving", action="Reconcile")
    assert event["metadata"] == {"generateName": "digits-", "namespace": "shop"}
    assert (event["reportingController"], event["note"], event["reason"]) == ("triton-operator", "hello", "Serving")
    assert event["regarding"] == {
        "apiVersion": "triton-operator.io/v1alpha1",
        "kind": "ModelDeployment",
        "namespace": "shop",
        "name": "digits",
        "uid": "uid-1",
    }


@given(st.text(max_size=60), st.integers(min_value=3, max_value=50))
def test_text_is_cut_to_bytes_at_a_character(text: str, limit: int) -> None:
    """Shorter text is not changed."""
    cut = shorten(text, limit)
    assert len(cut.encode(errors="surrogatepass")) <= limit
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
