"""TLS mode CertManager: pods wait for the certificate, and cert-manager is quoted."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.builders import NOW, a_pod
from tests.fakes import World
from triton_operator.api.status import ControlState, Truth
from triton_operator.cluster.errors import DeniedError, NotFoundError, UnavailableError
from triton_operator.cluster.observed import CertificateState, Kind, ObservedCondition, PodEvent

NAME = "digits-tls"
TLS: dict[str, Any] = {"mode": "CertManager", "certManager": {"issuerRef": {"name": "company"}}}
ABSENT = NotFoundError("404 page not found", status=404)
LATER = "2026-06-01T00:00:00Z"


def world_with(**tls: Any) -> World:
    return World(privacy={"tls": {**TLS, **tls}})


def report(world: World, status: str, message: str = "", not_after: str = "") -> None:
    """cert-manager writes the status of the Certificate."""
    ready = ObservedCondition(type="Ready", status=status, reason="Reported", message=message)
    world.change_child(Kind.CERTIFICATE, NAME, state=CertificateState(conditions=(ready,), not_after=not_after))


async def issued(world: World) -> World:
    await world.reconcile()
    report(world, "True", not_after=LATER)
    await world.reconcile()
    return world


async def served() -> World:
    world = await issued(world_with())
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE
    return world


async def test_pods_are_created_when_the_certificate_is_issued() -> None:
    world = world_with()
    assert await world.reconcile() is None, "the watch reports the certificate"
    assert world.names(Kind.CERTIFICATE) == [NAME]
    assert world.names(Kind.SERVICE) == ["digits", "digits-headless"]
    assert world.names(Kind.DEPLOYMENT) == []
    ready = world.condition("Ready")
    assert (ready.status, ready.reason) == (Truth.FALSE, "CertificatePending")
    created = "pods are created when cert-manager has issued the certificate"
    assert ready.message == f"cert-manager has not reported on Certificate digits-tls yet; {created}"
    assert world.condition("Stalled").status is Truth.FALSE
    report(world, "True", not_after=LATER)
    await world.reconcile()
    assert world.names(Kind.DEPLOYMENT) == ["digits"]
    assert world.condition("Ready").reason == "RollingOut"


async def test_cert_manager_is_quoted_until_then() -> None:
    world = world_with()
    await world.reconcile()
    report(world, "False", "Issuing certificate as Secret does not exist")
    await world.reconcile()
    assert world.condition("Ready").message.startswith(
        "Certificate digits-tls is not ready: Issuing certificate as Secret does not exist; pods are created when"
    )
    assert world.names(Kind.DEPLOYMENT) == []


async def test_the_cause_is_quoted_from_the_events_of_the_request() -> None:
    """They are read again from time to time, because no watch reports them."""
    world = world_with()
    await world.reconcile()
    report(world, "False", "Issuing certificate as Secret does not exist")
    unknown = 'Referenced "Issuer" not found: issuer.cert-manager.io "company" not found'
    world.cluster.request_event_log["digits-tls-1"] = [
        PodEvent(type="Normal", reason="WaitingForApproval", message="Not signing the request until it is Approved"),
        PodEvent(type="Normal", reason="IssuerNotFound", message=unknown),
        PodEvent(type="Normal", reason="cert-manager.io", message="Certificate request has been approved"),
    ]
    assert await world.reconcile() == 10
    quoted = f"is not ready: Issuing certificate as Secret does not exist: {unknown}; pods are created"
    assert world.condition("Ready").message.startswith(f"Certificate digits-tls {quoted}")


async def test_a_refused_request_is_quoted() -> None:
    world = world_with()
    await world.reconcile()
    conditions = (
        ObservedCondition(type="Issuing", status="False", reason="Failed", message="The request was denied"),
        ObservedCondition(type="Ready", status="False", reason="DoesNotExist", message="There is no Secret"),
    )
    world.change_child(Kind.CERTIFICATE, NAME, state=CertificateState(conditions=conditions))
    await world.reconcile()
    assert "is not ready: There is no Secret: The request was denied; " in world.condition("Ready").message


async def test_pods_stay_as_they_are_while_the_first_certificate_is_issued() -> None:
    """They are replaced in the pass after it, although no other child has changed."""
    world = World(privacy={"tls": {"mode": "Managed"}})
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, ready=True))
    await world.reconcile()
    before = world.manifest(Kind.DEPLOYMENT)
    world.edit(privacy={"tls": TLS})
    for _ in range(3):
        await world.reconcile()
        assert world.manifest(Kind.DEPLOYMENT) == before
    assert world.condition("Ready").reason == "CertificatePending"
    assert "1 older replica keeps serving" in world.condition("Ready").message
    report(world, "True", not_after=LATER)
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT) != before


async def test_a_failed_renewal_is_reported_and_changes_nothing_else() -> None:
    world = await served()
    before = world.manifest(Kind.DEPLOYMENT)
    world.forget_writes()
    report(world, "False", "the issuer is gone", not_after=LATER)
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE
    assert world.manifest(Kind.DEPLOYMENT) == before
    assert world.cluster.writes == ["status digits"]
    control = world.control("TLS")
    assert control.state is ControlState.ENFORCED
    assert control.message.endswith("; Certificate digits-tls is not ready: the issuer is gone")


async def test_an_expired_certificate_is_invalid() -> None:
    world = await served()
    report(world, "False", "the issuer is gone", not_after=NOW)
    await world.reconcile()
    ready = world.condition("Ready")
    assert (ready.status, ready.reason) == (Truth.FALSE, "CertificateInvalid")
    assert ready.message.startswith(
        f"the certificate expired at {NOW}: Certificate digits-tls is not ready: the issuer is gone"
    )
    assert world.condition("Stalled").status is Truth.TRUE
    report(world, "True", not_after=LATER)
    await world.reconcile()
    assert world.condition("Ready").status is Truth.TRUE


async def test_a_cluster_without_cert_manager_is_reported_and_tried_again() -> None:
    world = world_with()
    world.cluster.answers = {Kind.CERTIFICATE: ABSENT}
    delay = await world.reconcile()
    assert delay is not None
    assert delay > 1, "no busy loop"
    accepted = world.condition("Accepted")
    assert (accepted.status, accepted.reason) == (Truth.FALSE, "DependencyMissing")
    assert accepted.message.startswith("cert-manager is not installed: the API server does not serve Certificates")
    assert world.condition("Ready").reason == "DependencyMissing"
    assert world.condition("Stalled").status is Truth.FALSE
    assert world.names(Kind.DEPLOYMENT) == []
    assert world.names(Kind.NETWORK_POLICY) == ["digits"], "children without pods are created"
    world.cluster.answers = {}
    await issued(world)
    assert world.names(Kind.DEPLOYMENT) == ["digits"]


async def test_pods_with_another_certificate_keep_it_without_cert_manager() -> None:
    world = World(privacy={"tls": {"mode": "Managed"}})
    await world.reconcile()
    before = world.manifest(Kind.DEPLOYMENT)
    world.cluster.answers = {Kind.CERTIFICATE: ABSENT}
    world.edit(privacy={"tls": TLS})
    await world.reconcile()
    assert world.manifest(Kind.DEPLOYMENT) == before
    assert world.condition("Accepted").reason == "DependencyMissing"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            DeniedError('certificates is forbidden: User "operator" cannot create resource "certificates"', status=403),
            "Forbidden",
        ),
        (UnavailableError("storage is down", status=500), "APIServerError"),
        (NotFoundError('namespaces "shop" not found', status=404), "APIServerError"),
    ],
)
async def test_other_errors_are_not_blamed_on_cert_manager(error: Exception, reason: str) -> None:
    world = world_with()
    world.cluster.answers = {Kind.CERTIFICATE: error}
    with contextlib.suppress(UnavailableError, NotFoundError):
        await world.reconcile()
    assert world.condition("Accepted").reason == reason
    assert "cert-manager is not installed" not in world.condition("Accepted").message


async def test_another_mode_deletes_the_certificate() -> None:
    world = await served()
    world.edit(privacy={"tls": {"mode": "Managed"}})
    await world.reconcile()
    assert world.names(Kind.CERTIFICATE) == []


async def test_another_issuer_changes_the_certificate_only() -> None:
    world = await served()
    world.forget_writes()
    world.edit(privacy={"tls": {**TLS, "certManager": {"issuerRef": {"name": "other", "kind": "ClusterIssuer"}}}})
    await world.reconcile()
    assert [write for write in world.cluster.writes if "status" not in write] == ["apply Certificate/digits-tls"]
    issuer = world.manifest(Kind.CERTIFICATE, NAME)["spec"]["issuerRef"]
    assert issuer == {"name": "other", "kind": "ClusterIssuer", "group": "cert-manager.io"}


async def test_an_edit_of_the_certificate_is_reverted() -> None:
    world = await served()
    world.forget_writes()
    world.change_child(Kind.CERTIFICATE, NAME, fingerprint="edited", has_foreign_fields=True)
    await world.reconcile()
    assert world.cluster.writes[0] == "apply Certificate/digits-tls"


async def test_a_certificate_of_somebody_else_is_left_alone() -> None:
    world = world_with()
    world.cluster.put_stranger(Kind.CERTIFICATE, NAME)
    await world.reconcile()
    assert world.condition("Accepted").reason == "NameConflict"
    assert "a Certificate named digits-tls exists" in world.condition("Accepted").message


async def test_a_spec_without_an_issuer_is_reported_by_field() -> None:
    """An older CRD may have accepted it."""
    world = World(privacy={"tls": {"mode": "CertManager"}})
    await world.reconcile()
    accepted = world.condition("Accepted")
    assert accepted.reason == "InvalidSpec"
    assert accepted.message == "spec.privacy.tls.certManager: is required with the mode CertManager"
