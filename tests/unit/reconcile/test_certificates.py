"""The certificate of a deployment over the passes of its life."""

from __future__ import annotations

import itertools
import subprocess
import sys
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from tests.builders import WITHOUT_TLS, a_body
from tests.fakes import World
from triton_operator.api.conditions import Reason
from triton_operator.api.names import ANNOTATION_ROTATE, AUTHORITY_SECRET, CA_CONFIG_MAP, SERVING_SECRET
from triton_operator.api.privacy import Profile, TLSMode
from triton_operator.certificates.periods import ANNOUNCED, KEPT
from triton_operator.certificates.plan import BATCH, SIZE_LIMIT, plan_certificates
from triton_operator.certificates.rotation import rotate
from triton_operator.certificates.serving_data import ServingData
from triton_operator.certificates.state import Wanted
from triton_operator.cluster.errors import DeniedError, UnavailableError
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.shared_objects import SharedKind
from triton_operator.reconcile.certificate_caches import CertificateCaches
from triton_operator.reconcile.reconciler import Reconciler
from triton_operator.resources.tls import DEFAULT_MODES

MANAGED = {"tls": {"mode": "Managed"}}
SHARED = [f"create ConfigMap/{CA_CONFIG_MAP}", f"create Secret/{SERVING_SECRET}"]
AUTHORITY = f"create Secret/{AUTHORITY_SECRET}"


def world(**privacy: Any) -> World:
    return World(privacy=MANAGED | privacy)


def certificate(world: World, name: str = "digits") -> x509.Certificate:
    """The stored certificate."""
    return x509.load_pem_x509_certificate(b64decode(world.shared(SERVING_SECRET)["data"][f"{name}.crt"]))


def bundle(world: World) -> list[x509.Certificate]:
    """What clients trust."""
    return x509.load_pem_x509_certificates(world.shared(CA_CONFIG_MAP)["data"]["ca.crt"].encode())


def is_trusted(world: World, name: str = "digits") -> bool:
    """Whether the bundle contains the issuer of the certificate; raises InvalidSignature."""
    leaf = certificate(world, name)
    issuers = [each for each in bundle(world) if leaf.issuer == each.subject]
    for issuer in issuers:
        leaf.verify_directly_issued_by(issuer)
    return bool(issuers)


def add(world: World, name: str, **privacy: Any) -> tuple[str, str]:
    """Another deployment of the namespace."""
    body = a_body(name, privacy=MANAGED | privacy)
    world.cluster.bodies["shop", name] = body
    world.cache.deployments.put(body)
    return "shop", name


def reasons(world: World) -> list[str]:
    return [reason for _, reason, _ in world.cluster.events]


async def test_the_certificate_exists_before_the_pods() -> None:
    digits = world()
    await digits.reconcile()
    writes = digits.cluster.writes
    assert writes[:3] == [AUTHORITY, *SHARED]
    assert writes.index(SHARED[1]) < writes.index("create Deployment/digits")
    assert is_trusted(digits)
    assert [each["name"] for each in digits.shared(SERVING_SECRET)["metadata"]["ownerReferences"]] == ["digits"]
    assert [each["name"] for each in digits.shared(CA_CONFIG_MAP)["metadata"]["ownerReferences"]] == ["digits"]
    assert all("controller" not in each for each in digits.shared(CA_CONFIG_MAP)["metadata"]["ownerReferences"])
    assert digits.condition("Accepted").status == "True"


@pytest.mark.parametrize(
    "privacy",
    [{"tls": {"mode": mode}} for mode in ("Secret", "CertManager", "External", "Disabled")] + [{"profile": "Open"}],
    ids=["Secret", "CertManager", "External", "Disabled", "profile Open"],
)
async def test_a_deployment_with_another_mode_causes_nothing(privacy: dict[str, Any]) -> None:
    other = World(privacy=privacy)
    await other.reconcile()
    assert not other.cluster.shared.bodies
    assert not other.issuer.caches.needed.is_set()


def test_an_operator_without_certificates_does_not_import_cryptography() -> None:
    """Its import costs 9 MB."""
    code = "import sys, triton_operator.runtime.__main__; print([m for m in sys.modules if m == 'cryptography'])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


async def test_a_settled_pass_writes_nothing_until_two_thirds_of_the_life() -> None:
    digits = world()
    await digits.reconcile()
    digits.forget_writes()
    delay = await digits.reconcile()
    assert timedelta(days=59) < timedelta(seconds=delay or 0) < timedelta(days=61)
    assert not digits.cluster.writes
    before = certificate(digits)
    digits.pass_time((delay or 0) - 1)
    await digits.reconcile()
    assert not digits.cluster.writes
    digits.pass_time(1)
    await digits.reconcile()
    assert digits.cluster.writes == [f"patch Secret/{SERVING_SECRET}"]
    assert certificate(digits).serial_number != before.serial_number
    assert not reasons(digits)


async def test_a_restarted_operator_writes_nothing() -> None:
    digits = world()
    await digits.reconcile()
    digits.forget_writes()
    digits.new_operator()
    await digits.reconcile()
    assert not [write for write in digits.cluster.writes if "triton-operator" in write]


async def test_an_edited_certificate_is_replaced_and_reported() -> None:
    digits = world()
    await digits.reconcile()
    add(digits, "text")
    await digits.reconciler.reconcile(("shop", "text"))
    untouched = certificate(digits, "text")
    digits.forget_writes()
    data = digits.shared(SERVING_SECRET)["data"]
    digits.edit_shared(SERVING_SECRET, lambda body: body["data"].update({"digits.key": data["text.key"]}))
    await digits.reconcile()
    assert digits.cluster.writes == [f"patch Secret/{SERVING_SECRET}"]
    assert is_trusted(digits)
    assert certificate(digits, "text") == untouched
    assert reasons(digits)[-1:] == ["CertificateRestored"]


@pytest.mark.parametrize("name", [SERVING_SECRET, CA_CONFIG_MAP])
async def test_an_immutable_object_is_reported_until_somebody_deletes_it(name: str) -> None:
    digits = world()
    await digits.reconcile()
    digits.forget_writes()
    digits.edit_shared(name, lambda body: body.update(immutable=True, data={}))
    await digits.reconcile()
    assert not [write for write in digits.cluster.writes if name in write]
    assert digits.condition("Accepted").reason == Reason.CERTIFICATE_INVALID
    assert f"{name} immutable" in digits.condition("Accepted").message
    assert (
        f"kubectl delete -n shop {digits.shared(name)['kind'].lower()}/{name}" in digits.condition("Accepted").message
    )
    digits.delete_shared(name)
    await digits.reconcile()
    assert digits.condition("Accepted").status == "True"
    assert is_trusted(digits)


async def test_an_immutable_bundle_that_is_right_does_not_stop_renewals() -> None:
    digits = world()
    delay = await digits.reconcile()
    digits.edit_shared(CA_CONFIG_MAP, lambda body: body.update(immutable=True))
    await digits.reconcile()
    assert digits.condition("Accepted").status == "True"
    before = certificate(digits)
    digits.pass_time((delay or 0) + 1)
    await digits.reconcile()
    assert certificate(digits).serial_number != before.serial_number


async def test_an_immutable_authority_that_has_to_be_rotated_is_reported() -> None:
    digits, requested = world(), {ANNOTATION_ROTATE: "Gradual"}
    await digits.reconcile()
    digits.edit_shared(
        AUTHORITY_SECRET,
        lambda body: body.update(immutable=True, metadata=body["metadata"] | {"annotations": requested}),
    )
    digits.forget_writes()
    await digits.reconcile()
    assert not [write for write in digits.cluster.writes if AUTHORITY_SECRET in write]
    assert digits.condition("Accepted").reason == Reason.CERTIFICATE_INVALID
    assert f"{AUTHORITY_SECRET} immutable" in digits.condition("Accepted").message


async def test_a_bundle_with_another_owner_is_rotated_without_a_report() -> None:
    """A backup tool that restores equal content becomes an owner of it."""
    digits = world()
    await digits.reconcile()
    fields: dict[str, Any] = {"f:data": {"f:ca.crt": {}}}
    entry = {"manager": "velero-server", "operation": "Update", "fieldsV1": fields}
    digits.edit_shared(CA_CONFIG_MAP, lambda body: body["metadata"].update(managedFields=[entry]))
    before = bundle(digits)
    digits.edit_shared(
        AUTHORITY_SECRET, lambda body: body["metadata"].update(annotations={ANNOTATION_ROTATE: "Gradual"})
    )
    await digits.reconcile()
    assert bundle(digits) != before
    assert "CABundleRestored" not in reasons(digits)


async def test_an_edit_while_the_pass_waits_for_certificates_is_undone_by_the_next_one() -> None:
    """The pass has planned without it, so the state at its end is not at rest."""
    digits = world()
    delay = await digits.reconcile()
    digits.roll_out()
    await digits.reconcile()
    digits.pass_time((delay or 0) + 1)
    original = digits.cluster.patch_shared

    async def patch_and_edit(kind: SharedKind, namespace: str, name: str, patch: dict[str, Any]) -> bytes:
        digits.change_child(Kind.NETWORK_POLICY, fingerprint="edited")
        return await original(kind, namespace, name, patch)

    digits.cluster.patch_shared = patch_and_edit
    await digits.reconcile()
    digits.cluster.patch_shared = original
    digits.forget_writes()
    await digits.reconcile()
    assert "apply NetworkPolicy/digits" in digits.cluster.writes


async def test_a_certificate_of_another_authority_is_replaced() -> None:
    digits, other = world(), world()
    await digits.reconcile()
    await other.reconcile()
    pair = other.shared(SERVING_SECRET)["data"]
    digits.edit_shared(SERVING_SECRET, lambda body: body["data"].update(pair))
    assert not is_trusted(digits)
    await digits.reconcile()
    assert is_trusted(digits)
    assert reasons(digits)[-1:] == ["CertificateRestored"]


@pytest.mark.parametrize("name", [SERVING_SECRET, CA_CONFIG_MAP, AUTHORITY_SECRET])
async def test_a_deleted_object_is_restored(name: str) -> None:
    digits = world()
    await digits.reconcile()
    trusted = bundle(digits)
    kind = digits.shared(name)["kind"]
    digits.delete_shared(name)
    digits.forget_writes()
    await digits.reconcile()
    assert digits.cluster.writes == [f"create {kind}/{name}"]
    assert bundle(digits) == trusted
    assert is_trusted(digits)
    expected = {SERVING_SECRET: ["CertificateRestored"], CA_CONFIG_MAP: ["CABundleRestored"], AUTHORITY_SECRET: []}
    assert reasons(digits) == expected[name]


async def test_an_edited_bundle_is_restored_and_reported() -> None:
    digits = world()
    await digits.reconcile()
    digits.edit_shared(CA_CONFIG_MAP, lambda body: body["data"].update({"ca.crt": "mine", "other": "kept"}))
    digits.forget_writes()
    await digits.reconcile()
    assert digits.cluster.writes == [f"patch ConfigMap/{CA_CONFIG_MAP}"]
    assert is_trusted(digits)
    assert digits.shared(CA_CONFIG_MAP)["data"]["other"] == "kept"
    assert reasons(digits) == ["CABundleRestored"]


async def test_an_owner_that_somebody_removes_is_added_again() -> None:
    digits = world()
    await digits.reconcile()
    for name in (SERVING_SECRET, CA_CONFIG_MAP):
        digits.edit_shared(name, lambda body: body["metadata"].pop("ownerReferences"))
    serial = certificate(digits).serial_number
    await digits.reconcile()
    for name in (SERVING_SECRET, CA_CONFIG_MAP):
        assert [each["uid"] for each in digits.shared(name)["metadata"]["ownerReferences"]] == ["uid-of-digits"]
    assert certificate(digits).serial_number == serial


async def test_a_changed_host_name_needs_another_certificate() -> None:
    digits = world()
    await digits.reconcile()
    digits.edit(service={"hostnames": ["digits.example.com"]})
    await digits.reconcile()
    names = certificate(digits).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "digits.example.com" in names.get_values_for_type(x509.DNSName)


async def test_certificates_of_deleted_deployments_are_removed_with_the_next_write() -> None:
    digits = world()
    for number in range(3):
        await digits.reconciler.reconcile(add(digits, f"m-{number}"))
    digits.cache.deployments.remove("shop", "m-0")
    digits.cache.deployments.put(
        a_body("m-1", privacy={"tls": {"mode": "Disabled"}})
        | {"metadata": a_body("m-1")["metadata"] | {"resourceVersion": "9999", "generation": 2}}
    )
    assert {"m-0.crt", "m-1.key"} <= digits.shared(SERVING_SECRET)["data"].keys()
    digits.edit(service={"hostnames": ["digits.example.com"]})
    await digits.reconcile()
    assert set(digits.shared(SERVING_SECRET)["data"]) == {"digits.crt", "digits.key", "m-2.crt", "m-2.key"}


async def test_one_write_issues_the_certificates_of_many_deployments() -> None:
    digits = world()
    keys = [add(digits, f"m-{number:02}") for number in range(BATCH + 9)]
    for key in [digits.key, *keys]:
        await digits.reconciler.reconcile(key)
    secrets = [write for write in digits.cluster.writes if write.endswith(SERVING_SECRET)]
    assert secrets == [f"create Secret/{SERVING_SECRET}", f"patch Secret/{SERVING_SECRET}"]
    assert len(digits.shared(SERVING_SECRET)["data"]) == 2 * (BATCH + 10)
    assert len(digits.shared(SERVING_SECRET)["metadata"]["ownerReferences"]) == BATCH + 10
    assert [write for write in digits.cluster.writes if write.endswith(CA_CONFIG_MAP)] == SHARED[:1]
    assert all(is_trusted(digits, name) for _, name in keys)


async def test_a_rotation_reaches_the_bundle_before_any_certificate() -> None:
    digits = world()
    await digits.reconcile()
    (old,) = bundle(digits)
    digits.edit_shared(
        AUTHORITY_SECRET, lambda body: body["metadata"].update(annotations={ANNOTATION_ROTATE: "Gradual"})
    )
    leaf = certificate(digits)
    delay = await digits.reconcile()
    assert delay == ANNOUNCED.total_seconds()
    assert digits.shared(AUTHORITY_SECRET)["metadata"]["annotations"] == {}
    assert bundle(digits)[0] == old
    (new,) = bundle(digits)[1:]
    assert certificate(digits) == leaf

    digits.pass_time(ANNOUNCED.total_seconds())
    digits.forget_writes()
    delay = await digits.reconcile()
    assert bundle(digits) == [new, old]
    assert certificate(digits).issuer == new.subject
    assert digits.cluster.writes == [f"patch ConfigMap/{CA_CONFIG_MAP}", f"patch Secret/{SERVING_SECRET}"]
    assert delay == KEPT.total_seconds()

    digits.pass_time(KEPT.total_seconds())
    await digits.reconcile()
    assert bundle(digits) == [new]
    assert len(digits.shared(AUTHORITY_SECRET)["data"]) == 2
    assert not reasons(digits)


async def test_an_operator_that_starts_late_keeps_the_old_authority_for_an_hour() -> None:
    digits = world()
    await digits.reconcile()
    digits.edit_shared(
        AUTHORITY_SECRET, lambda body: body["metadata"].update(annotations={ANNOTATION_ROTATE: "Gradual"})
    )
    await digits.reconcile()
    digits.pass_time((ANNOUNCED + KEPT).total_seconds())
    digits.new_operator()
    assert await digits.reconcile() == 3600
    assert len(bundle(digits)) == 2
    assert is_trusted(digits)
    digits.pass_time(3600)
    await digits.reconcile()
    assert len(bundle(digits)) == 1
    assert is_trusted(digits)


async def test_an_immediate_rotation_replaces_everything() -> None:
    digits = world()
    await digits.reconcile()
    (old,) = bundle(digits)
    digits.edit_shared(AUTHORITY_SECRET, lambda body: body["metadata"].update(annotations={ANNOTATION_ROTATE: "Now"}))
    await digits.reconcile()
    (new,) = bundle(digits)
    assert new != old
    assert is_trusted(digits)


async def test_a_damaged_authority_is_restored_from_memory_but_never_replaced() -> None:
    digits = world()
    await digits.reconcile()
    trusted = bundle(digits)
    digits.edit_shared(AUTHORITY_SECRET, lambda body: body.update(data={"x.crt": "bm8="}))
    await digits.reconcile()
    assert bundle(digits) == trusted
    digits.edit_shared(AUTHORITY_SECRET, lambda body: body.update(data={"x.crt": "bm8="}))
    digits.new_operator()
    assert await digits.reconcile() is not None
    accepted = digits.condition("Accepted")
    assert (accepted.status, accepted.reason) == ("False", Reason.CERTIFICATE_INVALID)
    assert "restore it, or delete it to create a new authority" in accepted.message
    assert bundle(digits) == trusted


async def test_no_pod_starts_without_its_certificate() -> None:
    digits = world()
    digits.cluster.shared.answer = DeniedError('User "operator" cannot create resource "secrets"', status=403)
    delay = await digits.reconcile()
    assert not digits.names(Kind.DEPLOYMENT)
    assert digits.names(Kind.SERVICE) == ["digits", "digits-headless"]
    accepted = digits.condition("Accepted")
    assert (accepted.status, accepted.reason) == ("False", Reason.FORBIDDEN)
    assert "the operator lacks this permission" in accepted.message
    assert delay == 15
    digits.cluster.shared.answer = None
    await digits.reconcile()
    assert digits.names(Kind.DEPLOYMENT) == ["digits"]
    assert digits.condition("Accepted").status == "True"


async def test_an_outage_is_raised_after_the_status_is_written() -> None:
    digits = world()
    digits.cluster.shared.answer = UnavailableError("etcd is slow", status=500)
    with pytest.raises(UnavailableError):
        await digits.reconcile()
    assert digits.condition("Accepted").reason == Reason.API_SERVER_ERROR


async def test_a_failed_renewal_changes_nothing_until_the_certificate_has_expired() -> None:
    digits = world()
    await digits.reconcile()
    digits.cluster.shared.answer = DeniedError("denied by a policy", status=403)
    digits.pass_time(61 * 86400)
    await digits.reconcile()
    assert digits.condition("Accepted").reason == Reason.FORBIDDEN
    digits.pass_time(30 * 86400)
    await digits.reconcile()
    accepted = digits.condition("Accepted")
    assert accepted.reason == Reason.CERTIFICATE_INVALID
    assert "the certificate expired at 2026-04-02T03:04:05Z and cannot be renewed" in accepted.message


@pytest.mark.parametrize("name", [SERVING_SECRET, CA_CONFIG_MAP])
async def test_an_object_of_somebody_else_is_left_alone(name: str) -> None:
    digits = world()
    kind = SharedKind.SECRET if name == SERVING_SECRET else SharedKind.CONFIG_MAP
    body = {"metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": "1"}, "data": {}}
    digits.cluster.shared.bodies[kind, "shop", name] = body
    await digits.reconcile()
    assert digits.shared(name) == body
    accepted = digits.condition("Accepted")
    assert accepted.reason == Reason.CERTIFICATE_INVALID
    assert f"kubectl delete -n shop {kind.lower()}/{name}" in accepted.message


async def test_a_full_secret_is_reported_and_keeps_what_it_has() -> None:
    digits = world()
    await digits.reconcile()
    filler = b64encode(bytes(SIZE_LIMIT - 3000)).decode()
    digits.edit_shared(SERVING_SECRET, lambda body: body["data"].update({"filler": filler}))
    before = certificate(digits)
    await digits.reconciler.reconcile(add(digits, "text"))
    accepted = next(each for each in digits.status.conditions if each.type == "Accepted")
    assert accepted.reason == Reason.CERTIFICATE_INVALID
    assert "create the deployment in another namespace" in accepted.message
    assert "text.crt" not in digits.shared(SERVING_SECRET)["data"]
    assert "create Deployment/text" not in digits.cluster.writes
    digits.pass_time(61 * 86400)
    await digits.reconcile()
    assert certificate(digits).serial_number != before.serial_number


async def test_certificates_of_deleted_deployments_make_room_before_the_pods_of_a_new_one_start() -> None:
    digits = world()
    await digits.reconcile()
    filler = b64encode(bytes(SIZE_LIMIT - 3000)).decode()
    digits.edit_shared(SERVING_SECRET, lambda body: body["data"].update({"gone.crt": filler}))
    digits.forget_writes()
    await digits.reconciler.reconcile(add(digits, "text"))
    assert set(digits.shared(SERVING_SECRET)["data"]) == {"digits.crt", "digits.key", "text.crt", "text.key"}
    secret = f"patch Secret/{SERVING_SECRET}"
    assert [write for write in digits.cluster.writes if write in {secret, "create Deployment/text"}] == [
        secret,
        secret,
        "create Deployment/text",
    ]


def test_a_deployment_without_room_does_not_look_at_the_others() -> None:
    """Otherwise a namespace with thousands of them would occupy the operator."""
    others = iter([Wanted("other", "uid-of-other", ("other.shop",))])
    wanted = itertools.chain([Wanted("digits", "uid-of-digits", ("digits.shop",))], others)
    now = datetime.now(UTC)
    full = ServingData({}, SIZE_LIMIT)
    assert plan_certificates(wanted, full, rotate(None, now), now).is_full
    assert len(list(others)) == 1


async def test_an_operator_without_a_namespace_says_what_to_do() -> None:
    digits = world()
    digits.issuer = digits.issuer._replace(namespace=None)
    digits.new_operator()
    await digits.reconcile()
    accepted = digits.condition("Accepted")
    assert accepted.reason == Reason.CERTIFICATE_INVALID
    assert "set POD_NAMESPACE" in accepted.message
    assert not digits.cluster.shared.bodies


async def test_deployments_without_tls_do_not_wait_for_watches_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triton_operator.reconcile.certificates.FIRST_LIST", 0.01)
    digits = world()
    digits.issuer.caches.synced.clear()
    with pytest.raises(UnavailableError):
        await digits.reconcile()
    assert "could not be listed" in digits.condition("Accepted").message
    plain = a_body("plain", privacy=WITHOUT_TLS)
    digits.cluster.bodies["shop", "plain"] = plain
    digits.cache.deployments.put(plain)
    await digits.reconciler.reconcile(("shop", "plain"))
    assert digits.names(Kind.DEPLOYMENT) == ["plain"]


async def test_a_stale_cache_is_read_again() -> None:
    """Another leader has created the objects, and the watch has not reported them yet."""
    digits = world()
    await digits.reconcile()
    before = certificate(digits)
    digits.issuer = digits.issuer._replace(caches=CertificateCaches())
    digits.issuer.caches.synced.set()
    digits.reconciler = Reconciler(
        digits.cluster, digits.cache, digits.settings, clock=lambda: digits.now, issuer=digits.issuer
    )
    digits.forget_writes()
    await digits.reconcile()
    assert not [write for write in digits.cluster.writes if "triton-operator" in write]
    assert certificate(digits) == before


@pytest.mark.parametrize(
    "hostname", ["payments", "payments.bank", "payments.bank.svc", "x.payments.bank.svc.cluster.local"]
)
async def test_no_certificate_is_valid_for_the_service_of_another_deployment(hostname: str) -> None:
    digits = world()
    await digits.reconcile()
    digits.edit(service={"hostnames": ["digits.example.com", hostname]})
    await digits.reconcile()
    accepted = digits.condition("Accepted")
    assert accepted.reason == Reason.INVALID_SPEC
    assert accepted.message.startswith(f"spec.service.hostnames[1]: {hostname} can be the name of a Service")
    names = certificate(digits).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert hostname not in names.get_values_for_type(x509.DNSName)


async def test_a_deployment_keeps_the_mode_with_which_it_was_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade of the operator that changes the default of the profile."""
    before = World(privacy={})
    with monkeypatch.context() as earlier:
        earlier.setitem(DEFAULT_MODES, Profile.PRIVATE, TLSMode.DISABLED)
        await before.reconcile()
    before.new_operator()
    await before.reconcile()
    assert not before.cluster.shared.bodies
    new = World(privacy={})
    await new.reconcile()
    assert is_trusted(new)
