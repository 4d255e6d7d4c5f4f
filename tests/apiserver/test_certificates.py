"""Certificates of TLS mode Managed on a real API server, by the operator as a process of its own."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.conftest import Kubectl
from tests.apiserver.many_objects import until_passed, until_written
from tests.apiserver.operator_process import OperatorProcess
from tests.apiserver.world import Namespace
from triton_operator.api.names import ANNOTATION_ROTATE, AUTHORITY_SECRET, CA_CONFIG_MAP, SERVING_SECRET
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS

Object = dict[str, Any]

MANAGED: Object = {"privacy": {"tls": {"mode": "Managed"}}}
DISABLED: Object = {"privacy": {"tls": {"mode": "Disabled"}}}


class Certificates:
    """The shared objects of one namespace, as an administrator sees them."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._root = f"/api/v1/namespaces/{namespace}"
        self._events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"

    def path(self, name: str) -> str:
        """URL path of a shared object."""
        return f"{self._root}/{'configmaps' if name == CA_CONFIG_MAP else 'secrets'}/{name}"

    def get(self, name: str) -> Object:
        """A shared object, empty if it does not exist."""
        try:
            return self._api.get(self.path(name))
        except RequestRefusedError:
            return {}

    def leaf(self, name: str) -> x509.Certificate | None:
        """The certificate of a deployment."""
        data = self.get(SERVING_SECRET).get("data", {}).get(f"{name}.crt")
        try:
            return x509.load_pem_x509_certificate(b64decode(data)) if data else None
        except ValueError:
            return None

    def bundle(self) -> list[x509.Certificate]:
        """The authorities that clients trust."""
        text = self.get(CA_CONFIG_MAP).get("data", {}).get("ca.crt", "")
        return x509.load_pem_x509_certificates(text.encode()) if "BEGIN" in text else []

    def is_trusted(self, name: str) -> bool:
        """Whether a client that has the bundle accepts the certificate."""
        leaf = self.leaf(name)
        issuers = [each for each in self.bundle() if leaf and each.subject == leaf.issuer]
        for issuer in issuers:
            assert leaf is not None
            leaf.verify_directly_issued_by(issuer)
        return bool(issuers)

    def owners(self, name: str) -> list[str]:
        """Names of the owners."""
        return sorted(each["name"] for each in self.get(name)["metadata"].get("ownerReferences", []))

    def events(self) -> set[str]:
        """Reasons of all Events."""
        return {each["reason"] for each in self._api.get(self._events)["items"]}

    def wait(self, look: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Wait until the operator has done something."""
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, what
            time.sleep(0.1)


def _version(body: Object) -> int:
    """The version of an object, which orders it among all others."""
    return int(body["metadata"]["resourceVersion"])


@pytest.fixture
def certificates(api: Api, namespace: str) -> Certificates:
    return Certificates(api, namespace)


async def test_certificates_exist_before_the_pods_and_a_restart_writes_nothing(
    kubeconfig: Path, namespace: str, tmp_path: Path, certificates: Certificates
) -> None:
    """Several deployments of one namespace share both objects and own them."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(1, **MANAGED)
            await world.until_observed()
            (deployment,) = await world.children(Kind.DEPLOYMENT)
            shared = [certificates.get(name) for name in (AUTHORITY_SECRET, CA_CONFIG_MAP, SERVING_SECRET)]
            assert all(_version(each) < _version(deployment) for each in shared)
            await world.create(4, first=1, **MANAGED)
            await world.until_observed()
            names = [f"m-{number}" for number in range(5)]
            assert all(certificates.is_trusted(name) for name in names)
            assert len({leaf.serial_number for leaf in map(certificates.leaf, names) if leaf}) == 5
            for name in (SERVING_SECRET, CA_CONFIG_MAP):
                assert certificates.owners(name) == names
            before = certificates.get(SERVING_SECRET)
            operator.kill()
            operator.start()
            await until_passed(operator, 5)
            assert not operator.writes(), operator.log.read_text()
            assert certificates.get(SERVING_SECRET) == before


async def test_a_deployment_with_tls_needs_at_most_three_more_writes(
    kubeconfig: Path, namespace: str, tmp_path: Path, certificates: Certificates
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(20, **DISABLED)
            await until_written(operator, 20)
            plain = operator.writes()
            assert not certificates.get(SERVING_SECRET)
            assert "Secret" not in plain
            await world.create(20, first=20, **MANAGED)
            await until_written(operator, 40)
            with_tls = operator.writes()
            assert sum(with_tls.values()) - 2 * sum(plain.values()) <= 3 * 20
            assert with_tls["Secret"] <= 21
            assert all(certificates.is_trusted(f"m-{number}") for number in range(20, 40))
            assert certificates.leaf("m-0") is None


EDITS: dict[str, tuple[str, Callable[[Object], object], str]] = {
    "a certificate": (
        SERVING_SECRET,
        lambda body: body["data"].update({"m-0.crt": b64encode(b"mine").decode()}),
        "CertificateRestored",
    ),
    "a key": (
        SERVING_SECRET,
        lambda body: body["data"].update({"m-0.key": body["data"]["m-1.key"]}),
        "CertificateRestored",
    ),
    "a key removed": (SERVING_SECRET, lambda body: body["data"].pop("m-0.key"), "CertificateRestored"),
    "the bundle": (CA_CONFIG_MAP, lambda body: body["data"].update({"ca.crt": "mine"}), "CABundleRestored"),
    "the owners": (SERVING_SECRET, lambda body: body["metadata"].pop("ownerReferences"), ""),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_is_undone_and_reported(
    kubeconfig: Path, api: Api, namespace: str, tmp_path: Path, certificates: Certificates, edit: str
) -> None:
    name, change, reason = EDITS[edit]
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(2, **MANAGED)
            await world.until_observed()
            certificates.wait(lambda: certificates.owners(SERVING_SECRET) == ["m-0", "m-1"], "both own it")
            other = certificates.leaf("m-1")
            body = certificates.get(name)
            change(body)
            api.put(certificates.path(name), body)
            certificates.wait(lambda: certificates.is_trusted("m-0"), "it is restored")
            certificates.wait(lambda: certificates.owners(name) == ["m-0", "m-1"], "both own it again")
            if reason:
                certificates.wait(lambda: reason in certificates.events(), "it is reported")
            assert certificates.leaf("m-1") == other


@pytest.mark.parametrize("name", [SERVING_SECRET, CA_CONFIG_MAP, AUTHORITY_SECRET])
async def test_a_deleted_object_is_restored(
    kubeconfig: Path, api: Api, namespace: str, tmp_path: Path, certificates: Certificates, name: str
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(2, **MANAGED)
            await world.until_observed()
            bundle, uid = certificates.bundle(), certificates.get(name)["metadata"]["uid"]
            api.delete(certificates.path(name))
            certificates.wait(lambda: certificates.get(name).get("metadata", {}).get("uid", uid) != uid, "it is there")
            certificates.wait(
                lambda: certificates.is_trusted("m-0") and certificates.is_trusted("m-1"), "both are trusted"
            )
            assert certificates.bundle() == bundle


async def test_a_rotation_keeps_every_certificate_trusted(
    kubeconfig: Path, kubectl: Kubectl, namespace: str, tmp_path: Path, certificates: Certificates
) -> None:
    """A client that reads the bundle at any time accepts the certificate that is served at that time or later."""
    with OperatorProcess(kubeconfig, namespace, tmp_path, flags=["--authority-announced", "3"]) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(3, **MANAGED)
            await world.until_observed()
            (old,) = certificates.bundle()
            request = f"{ANNOTATION_ROTATE}=Gradual"
            kubectl("annotate", "secret", AUTHORITY_SECRET, request, "--namespace", namespace)
            certificates.wait(lambda: len(certificates.bundle()) == 2, "the next authority is announced")
            announced = certificates.bundle()
            assert announced[0] == old
            assert all(leaf and leaf.issuer == old.subject for leaf in map(certificates.leaf, ["m-0", "m-1", "m-2"]))
            new = announced[1]

            def all_are_new() -> bool:
                leaves = [certificates.leaf(f"m-{number}") for number in range(3)]
                assert all(leaf and leaf.issuer in {each.subject for each in announced} for leaf in leaves)
                return all(leaf and leaf.issuer == new.subject for leaf in leaves)

            certificates.wait(all_are_new, "every certificate is issued again")
            certificates.wait(lambda: certificates.bundle() == [new, old], "both are trusted")
            assert "CertificateRestored" not in certificates.events()


@pytest.mark.parametrize("name", [AUTHORITY_SECRET, CA_CONFIG_MAP, SERVING_SECRET])
async def test_a_killed_operator_is_continued(
    kubeconfig: Path, namespace: str, tmp_path: Path, certificates: Certificates, name: str
) -> None:
    """Killed as soon as one of the objects exists."""
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(1, **MANAGED)
            certificates.wait(lambda: certificates.get(name), "it exists")
            operator.kill()
            uid = certificates.get(name)["metadata"]["uid"]
            operator.start()
            operator.wait_ready()
            await world.until_observed()
            assert certificates.is_trusted("m-0")
            assert len(certificates.bundle()) == 1
            assert certificates.get(name)["metadata"]["uid"] == uid


async def test_the_next_write_removes_the_certificates_of_deleted_deployments(
    kubeconfig: Path, api: Api, namespace: str, tmp_path: Path, certificates: Certificates
) -> None:
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        async with Namespace(kubeconfig, namespace) as world:
            await world.create(2, **MANAGED)
            await world.until_observed()
            kept = certificates.leaf("m-1")
            api.delete(MODEL_DEPLOYMENTS.path(namespace, "m-0"))
            await world.create(1, first=2, **MANAGED)
            certificates.wait(lambda: certificates.is_trusted("m-2"), "another certificate is issued")
            data = certificates.get(SERVING_SECRET)["data"]
            assert sorted(data) == ["m-1.crt", "m-1.key", "m-2.crt", "m-2.key"]
            assert certificates.leaf("m-1") == kept
