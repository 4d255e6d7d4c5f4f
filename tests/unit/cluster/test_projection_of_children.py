"""The parts of child objects that the operator caches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stored_objects import OWNER, a_stored, a_stored_deployment, encode, managed
from triton_operator.cluster.observed import (
    AutoscalerState,
    CertificateState,
    Child,
    DeploymentState,
    Kind,
    ObservedCondition,
    RevisionState,
    ServiceState,
)
from triton_operator.cluster.projection import identify, project_child
from triton_operator.cluster.projector import RECENT, Projector

Object = dict[str, Any]


def project(stored: Object) -> Child:
    """The projection of an object."""
    return project_child(Kind(stored["kind"]), encode(stored))


def test_identity_and_owner_are_kept() -> None:
    """The label gives the deployment's name, the ownerReference its uid."""
    child = project(a_stored("Service", spec={"type": "ClusterIP"}))
    assert (child.kind, child.namespace, child.name) == (Kind.SERVICE, "shop", "digits")
    assert (child.uid, child.resource_version, child.deployment) == ("uid-of-child", 4711, "digits")
    assert (child.owner_uid, child.deleting, child.state) == ("uid-of-digits", False, None)


def test_an_object_without_owner_and_labels_is_read_too() -> None:
    """Such as another client's object with the name of a child."""
    stored = a_stored("ConfigMap", metadata={"labels": {}, "ownerReferences": [], "deletionTimestamp": "2026-01-01T"})
    child = project(stored)
    assert (child.deployment, child.owner_uid, child.deleting) == ("", "", True)
    for foreign in ({"kind": "Job"}, {"apiVersion": "example.org/v1alpha1"}, {"apiVersion": "triton-operator.io.x/v1"}):
        assert project(a_stored("ConfigMap", metadata={"ownerReferences": [OWNER | foreign]})).owner_uid == ""
    newer = OWNER | {"apiVersion": "triton-operator.io/v1"}
    assert project(a_stored("ConfigMap", metadata={"ownerReferences": [newer]})).owner_uid == "uid-of-digits"


def test_a_deployment_reports_replicas_and_conditions() -> None:
    """As its controller wrote them."""
    child = project(a_stored_deployment(managed({"f:spec": {"f:replicas": {}, "f:selector": {}}})))
    assert child.state == DeploymentState(
        generation=3,
        replicas=2,
        owns_replicas=True,
        observed_generation=3,
        current_replicas=2,
        updated_replicas=1,
        ready_replicas=1,
        available_replicas=1,
        template_revision="digits-0123456789",
        conditions=(
            ObservedCondition(type="Available", status="False", reason="MinimumReplicasUnavailable", message="1 of 2"),
        ),
    )


def test_a_new_deployment_has_no_status_yet() -> None:
    """All counts are zero, and there is no failure."""
    stored = a_stored_deployment()
    del stored["status"]
    assert project(stored).state == DeploymentState(
        generation=3, replicas=2, owns_replicas=False, template_revision="digits-0123456789"
    )


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        (managed({"f:spec": {"f:replicas": {}}}), True),
        (managed({"f:spec": {"f:selector": {}}}), False),
        (managed({"f:spec": {"f:replicas": {}}}, operation="Update"), False),
        (managed({"f:spec": {"f:replicas": {}}}, manager="triton-operator-scale"), False),
        (managed({"f:spec": {"f:replicas": {}}}, manager="kubectl", operation="Update", subresource="scale"), False),
    ],
)
def test_replicas_are_ours_when_our_apply_entry_has_them(entry: Object, *, ours: bool) -> None:
    """Only then would omitting them in an apply reset them."""
    state = project(a_stored_deployment(entry)).state
    assert isinstance(state, DeploymentState)
    assert state.owns_replicas is ours


@pytest.mark.parametrize(
    ("entry", "manager"),
    [
        (
            managed({"f:spec": {"f:replicas": {}}}, "kube-controller-manager", "Update", "scale"),
            "kube-controller-manager",
        ),
        (managed({"f:spec": {"f:replicas": {}}}, "kubectl-edit", "Update"), ""),
        (managed({"f:spec": {"f:replicas": {}}}, "triton-operator-scale", "Apply", "scale"), ""),
        (managed({}, "kube-controller-manager", "Update", "scale"), ""),
    ],
)
def test_who_scaled_a_deployment_is_the_owner_of_the_count_through_scale(entry: Object, manager: str) -> None:
    """Every autoscaler writes `/scale`, and an entry without the count has lost it to another write."""
    state = project(a_stored_deployment(entry)).state
    assert isinstance(state, DeploymentState)
    assert state.scaled_by == manager


FOREIGN = [
    ("Service", managed({"f:spec": {"f:externalIPs": {}}}, "kubectl-edit", "Update")),
    ("ConfigMap", managed({"f:data": {"f:x": {}}}, "kubectl", "Apply")),
    ("ConfigMap", managed({"f:binaryData": {"f:x": {}}}, "kubectl", "Update")),
    ("ControllerRevision", managed({"f:data": {}, "f:revision": {}}, "kubectl", "Update")),
    ("Deployment", managed({"f:spec": {"f:template": {"f:spec": {}}}}, "injector", "Update")),
    ("Deployment", managed({"f:spec": {"f:paused": {}, "f:replicas": {}}}, "kubectl", "Update")),
    ("Deployment", managed({"f:spec": {"f:template": {"f:metadata": {}, "f:spec": {}}}}, "kubectl", "Update")),
]
HARMLESS = [
    ("Service", managed({"f:spec": {"f:ports": {}}})),
    ("Service", managed({"f:spec": {"f:ports": {}}}, operation="Update")),
    ("Service", managed({"f:status": {"f:loadBalancer": {}}}, "cloud", "Update", "status")),
    ("Service", managed({"f:metadata": {"f:labels": {"f:spec": {}}}}, "kubectl", "Update")),
    ("Deployment", managed({"f:metadata": {}, "f:status": {}}, "kube-controller-manager", "Update", "status")),
    ("Deployment", managed({"f:spec": {"f:replicas": {}}}, "kubectl", "Update", "scale")),
    ("Deployment", managed({"f:spec": {"f:replicas": {}}}, "kubectl", "Update")),
    ("Deployment", managed({"f:spec": {"f:replicas": {}}}, "triton-operator-scale")),
    ("Deployment", managed({"f:spec": {"f:template": {"f:metadata": {"f:annotations": {}}}}}, "kubectl", "Update")),
]


@pytest.mark.parametrize(
    ("kind", "entry", "foreign"), [(*case, True) for case in FOREIGN] + [(*case, False) for case in HARMLESS]
)
def test_content_of_other_managers_is_foreign(kind: str, entry: Object, *, foreign: bool) -> None:
    """Status, `/scale`, replicas and other people's labels do not count."""
    stored = a_stored_deployment(entry) if kind == "Deployment" else a_stored(kind, entry)
    assert project(stored).has_foreign_fields is foreign


@pytest.mark.parametrize("kind", ["ConfigMap", "Service"])
def test_only_a_config_map_can_be_frozen(kind: str) -> None:
    assert project(a_stored(kind, immutable=True)).is_frozen is (kind == "ConfigMap")
    assert not project(a_stored(kind)).is_frozen


CHANGES: dict[str, Object] = {
    "spec": {"spec": {"type": "NodePort"}},
    "a new field of the spec": {"spec": {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}},
    "data": {"data": {"a": "2"}},
    "binary data": {"binaryData": {"a": "Yg=="}},
    "immutable": {"immutable": True},
    "token": {"automountServiceAccountToken": True},
    "labels": {"metadata": {"labels": {"other": "x"}}},
    "annotations": {"metadata": {"annotations": {"other": "x"}}},
    "owner": {"metadata": {"ownerReferences": []}},
}
UNCHANGED: dict[str, Object] = {
    "version": {"metadata": {"resourceVersion": "9999", "generation": 9}},
    "bookkeeping": {"metadata": {"managedFields": [managed({"f:spec": {}}, "kubectl")]}},
    "status": {"status": {"loadBalancer": {"ingress": []}}},
    "rollout": {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "7"}}},
    "image pull secrets that the platform adds": {"imagePullSecrets": [{"name": "x"}], "secrets": [{"name": "x"}]},
}


def test_a_certificate_reports_what_cert_manager_writes() -> None:
    """Its status as recorded with cert-manager 1.21; its spec is content like that of other kinds."""
    message = "Certificate is up to date and has not expired"
    ready = {
        "lastTransitionTime": "2026-11-30T03:21:28Z",
        "message": message,
        "observedGeneration": 1,
        "reason": "Ready",
        "status": "True",
        "type": "Ready",
    }
    status = {"conditions": [ready], "notAfter": "2027-02-28T03:21:28Z", "notBefore": "2026-11-30T03:21:28Z"}
    child = project(a_stored("Certificate", spec={"secretName": "a"}, status={**status, "revision": 1}))
    condition = ObservedCondition(type="Ready", status="True", reason="Ready", message=message)
    state = CertificateState(conditions=(condition,), not_after="2027-02-28T03:21:28Z", revision=1)
    assert child.state == state
    assert state.is_ready
    new = project(a_stored("Certificate", spec={"secretName": "a"}))
    assert new.state == CertificateState()
    assert not CertificateState().is_ready
    other = project(a_stored("Certificate", spec={"secretName": "b"}))
    assert new.fingerprint == child.fingerprint != other.fingerprint


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_shows_changes_of_content(change: str) -> None:
    """Each of these is drift."""
    assert fingerprint_after(CHANGES[change]) != fingerprint_after({})


@pytest.mark.parametrize("change", UNCHANGED)
def test_the_fingerprint_ignores_what_others_have_to_write(change: str) -> None:
    """None of these is drift."""
    assert fingerprint_after(UNCHANGED[change]) == fingerprint_after({})


def fingerprint_after(change: Object) -> str:
    """The fingerprint of an object with all kinds of content, after a change."""
    content = {"spec": {"type": "ClusterIP"}, "data": {"a": "1"}, "automountServiceAccountToken": False}
    metadata = change.get("metadata", {})
    return project(
        a_stored("Service", metadata=metadata, **content | {k: v for k, v in change.items() if k != "metadata"})
    ).fingerprint


def test_a_deployments_fingerprint_ignores_its_replicas() -> None:
    """They are compared as a number, because an autoscaler may own them."""
    assert project(a_stored_deployment(replicas=9)).fingerprint == project(a_stored_deployment()).fingerprint
    assert project(a_stored_deployment(paused=True)).fingerprint != project(a_stored_deployment()).fingerprint


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3)), st.dictionaries(st.text(max_size=3), st.text()))
def test_only_equal_data_has_equal_fingerprints(one: dict[str, str], other: dict[str, str]) -> None:
    """For any keys and values."""
    first, second = (project(a_stored("ConfigMap", data=data)).fingerprint for data in (one, other))
    assert (first == second) == (one == other)


def test_a_revision_keeps_number_and_data() -> None:
    """Its content is decoded only on demand."""
    state = project(a_stored("ControllerRevision", data={"template": {"a": [1, "ü"]}}, revision=7)).state
    assert isinstance(state, RevisionState)
    assert state.number == 7
    assert msgspec.json.decode(state.data) == {"template": {"a": [1, "ü"]}}


def test_an_autoscaler_keeps_its_conditions() -> None:
    """Before its first evaluation, it has none."""
    active = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}
    child = project(a_stored("HorizontalPodAutoscaler", spec={}, status={"conditions": [active]}))
    assert child.state == AutoscalerState(conditions=(ObservedCondition(**active),))
    assert project(a_stored("HorizontalPodAutoscaler", spec={})).state == AutoscalerState()


def test_a_service_keeps_the_addresses_of_its_load_balancer() -> None:
    """Most Services have none; an entry may have an address, a host name or, while it is created, neither."""
    ingress = [{"ip": "203.0.113.7", "ipMode": "VIP"}, {"hostname": "lb.example.com"}, {"ports": []}]
    status = {"loadBalancer": {"ingress": ingress}}
    service = project(a_stored("Service", spec={}, status=status))
    assert service.state == ServiceState(addresses=("203.0.113.7", "lb.example.com"))
    without = project(a_stored("Service", spec={}, status={"loadBalancer": {}}))
    assert without.state is None
    assert without.fingerprint == service.fingerprint


def test_version_and_uid_of_any_object() -> None:
    """Bookmarks have no other fields."""
    assert identify(b'{"metadata":{"resourceVersion":"12"}}').version == 12
    assert identify(b'{"metadata":{"uid":"u"},"spec":5}').uid == "u"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"metadata":{"labels":[]}}', b'{"metadata"'])
def test_what_is_no_object_is_rejected(body: bytes) -> None:
    """With the error that reflectors expect."""
    with pytest.raises(msgspec.DecodeError):
        project_child(Kind.SERVICE, body)


def test_a_projection_keeps_nothing_of_the_bytes_it_came_from() -> None:
    """500 deployments must not keep the JSON that they were decoded from."""
    child = project(a_stored("ConfigMap", data={"config": "x" * 100_000}))
    assert len(msgspec.json.encode(child)) < 400


def test_a_version_is_projected_once_for_the_response_and_its_event() -> None:
    """The second of the two reuses the projection; another version is projected again."""
    projector = Projector()
    body = encode(a_stored("Service"))
    first = projector.project(Kind.SERVICE, body)
    assert projector.project(Kind.SERVICE, body) is first
    assert projector.project(Kind.SERVICE, body) is not first
    later = encode(a_stored("Service", metadata={"resourceVersion": "10000"}))
    assert projector.project(Kind.SERVICE, later).resource_version == 10000


def test_what_we_own_is_not_derived_while_we_write_it() -> None:
    """The event of a write may precede the response, which contains the applied fields."""
    projector = Projector()
    fields: dict[str, Any] = {"f:spec": {"f:type": {}}}
    with projector.writing(Kind.SERVICE, "shop", "digits"):
        assert projector.project(Kind.SERVICE, _service(1, fields), with_owned=True).owned == ""
        assert projector.project(Kind.SERVICE, _service(1, fields, name="other"), with_owned=True).owned != ""
    assert projector.project(Kind.SERVICE, _service(2, fields), with_owned=True).owned != ""


def _service(version: int, fields: dict[str, Any], name: str = "digits") -> bytes:
    stored = a_stored("Service", managed(fields), spec={"type": "ClusterIP"})
    stored["metadata"] |= {"name": name, "uid": name, "resourceVersion": str(version)}
    return encode(stored)


def test_versions_that_come_once_are_not_remembered_forever() -> None:
    """Those that others wrote."""
    projector = Projector()
    for number in range(2 * RECENT):
        projector.project(Kind.SERVICE, encode(a_stored("Service", metadata={"resourceVersion": str(number)})))
    assert len(projector._recent) == RECENT


def test_a_child_belongs_to_its_owner_whatever_its_label_says() -> None:
    """Any client may change a label, and a restarted operator does not know its former value."""
    owner = {"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment", "name": "digits", "uid": "u"}
    metadata = {"name": "digits", "labels": {"triton-operator.io/model-deployment": "other"}}
    body = msgspec.json.encode({"metadata": {**metadata, "ownerReferences": [owner]}})
    assert project_child(Kind.SERVICE, body).deployment == "digits"
    assert project_child(Kind.SERVICE, msgspec.json.encode({"metadata": metadata})).deployment == "other"
