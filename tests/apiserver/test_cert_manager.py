"""TLS mode CertManager with the definitions and the controllers of cert-manager on a real API server."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hack.programs.catalogue import tools
from tests import cert_manager
from tests.apiserver.many_objects import check_that_a_restart_writes_nothing
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body
from tests.kube import Kube
from triton_operator.api.serving_names import serving_names

NAME = "digits"
CERTIFICATE = f"{NAME}-tls"
HOSTNAME = "digits.example.com"
Object = dict[str, Any]


def using(issuer: str, **reference: str) -> Object:
    """`spec.privacy` with this issuer."""
    return {"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": issuer, **reference}}}}


def deployment(namespace: str, name: str = NAME, **spec: Any) -> Object:
    body = a_body(name, namespace, **spec)
    body["metadata"] = {"name": name, "namespace": namespace}
    return body


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Kube:
    return Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)


@pytest.fixture(scope="module")
def installed(kubeconfig: Path) -> Iterator[None]:
    """The definitions of cert-manager, from the first test that needs them."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, "default")
    cert_manager.install(kube)
    yield
    cert_manager.uninstall(kube)


def test_cert_manager_that_is_installed_later_is_used(
    kube: Kube, namespace: str, operator: OperatorProcess, request: pytest.FixtureRequest
) -> None:
    kube.apply(deployment(namespace, privacy=using("company")))
    condition = kube.wait_reason(NAME, "DependencyMissing", kind="Accepted")
    assert condition["message"].startswith("cert-manager is not installed: the API server does not serve Certificates")
    assert kube.get("deployment", NAME) is None
    kube.apply(deployment(namespace, "other", privacy={"tls": {"mode": "Managed"}}))
    kube.wait(lambda: kube.get("deployment", "other"), "another deployment is not disturbed")
    request.getfixturevalue("installed")
    kube.wait(lambda: kube.get("certificate", CERTIFICATE), "the Certificate is created")
    condition = kube.wait_reason(NAME, "CertificatePending")
    assert condition["message"].startswith(f"cert-manager has not reported on Certificate {CERTIFICATE} yet")
    assert operator.is_healthy()


@pytest.mark.usefixtures("installed")
async def test_the_controllers_issue_the_certificate_for_every_name(
    kube: Kube, kubeconfig: Path, namespace: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    """An issuer that does not exist yet is reported in the words of cert-manager; pods are created after it exists."""
    with cert_manager.controllers(kubeconfig, namespace, tmp_path):
        kube.apply(deployment(namespace, privacy=using(cert_manager.ISSUER), service={"hostnames": [HOSTNAME]}))
        kube.wait(lambda: f'"{cert_manager.ISSUER}" not found' in message(kube), "the unknown issuer is reported")
        assert kube.get("deployment", NAME) is None
        kube.apply(*cert_manager.authority(namespace))
        kube.wait(lambda: kube.get("deployment", NAME), "pods are created")
        leaf, issuer = certificates(kube)
        leaf.verify_directly_issued_by(issuer)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert set(names.get_values_for_type(x509.DNSName)) == {*serving_names(namespace, NAME), HOSTNAME}
        assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
        cert_manager.renew(kube, CERTIFICATE)
        kube.wait(lambda: certificates(kube)[0].serial_number != leaf.serial_number, "it is renewed")
        await check_that_a_restart_writes_nothing(operator)


@pytest.mark.usefixtures("installed", "operator")
def test_edits_are_reverted_and_another_mode_deletes_the_certificate(kube: Kube, namespace: str) -> None:
    kube.apply(deployment(namespace, privacy=using("company")))
    first = kube.wait(lambda: kube.get("certificate", CERTIFICATE), "the Certificate is created")
    kube.patch("certificate", CERTIFICATE, {"spec": {"isCA": True, "dnsNames": ["other.example.com"]}})
    kube.wait(lambda: spec_of(kube) == first["spec"], "the edit is reverted")
    kube.delete("certificate", CERTIFICATE)
    kube.wait(lambda: kube.get("certificate", CERTIFICATE), "it is created again")
    kube.patch("modeldeployment", NAME, {"spec": {"privacy": using("other", kind="ClusterIssuer")}})
    reference = {"name": "other", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    kube.wait(lambda: spec_of(kube)["issuerRef"] == reference, "another issuer is used")
    kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"tls": {"mode": "Managed", "certManager": None}}}})
    kube.wait(lambda: kube.get("certificate", CERTIFICATE) is None, "the Certificate is deleted")
    kube.wait(lambda: kube.get("deployment", NAME), "pods are created")


def message(kube: Kube) -> str:
    """The message of the condition Ready."""
    return str((kube.condition(NAME) or {}).get("message", ""))


def spec_of(kube: Kube) -> Object:
    """The spec of the Certificate, {} while there is none."""
    spec: Object = (kube.get("certificate", CERTIFICATE) or {}).get("spec", {})
    return spec


def certificates(kube: Kube) -> tuple[x509.Certificate, x509.Certificate]:
    """The certificate in the Secret, and that of its authority."""
    secret = kube.get("secret", CERTIFICATE)
    assert secret
    leaf, issuer = (x509.load_pem_x509_certificate(b64decode(secret["data"][key])) for key in ("tls.crt", "ca.crt"))
    return leaf, issuer
