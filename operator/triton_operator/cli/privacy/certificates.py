"""Facts about certificates, from public objects.

Pure. Input: PEM, DER or a Certificate of cert-manager. Output: facts by name, for `EvidenceItem`. Private keys are
not read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from triton_operator.cli.privacy.observed import ServedCertificate
from triton_operator.cli.privacy.report import EvidenceItem
from triton_operator.reconcile.times import format_time

if TYPE_CHECKING:
    from cryptography import x509


def authorities(pem: str, where: str) -> tuple[EvidenceItem, ...]:
    """The facts about each certificate in a bundle."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, x509.InvalidVersion) as error:
        return (EvidenceItem(where, {"problem": f"contains no valid certificate: {error}"}),)
    total = len(found)
    return tuple(
        EvidenceItem(f"CA certificate {number} of {total} in {where}", _facts_or_problem(certificate))
        for number, certificate in enumerate(found, 1)
    )


def served(found: ServedCertificate) -> EvidenceItem:
    """The certificate that a server presented in a handshake, which has verified it."""
    from cryptography import x509

    facts = _facts_or_problem(x509.load_der_x509_certificate(found.der))
    return EvidenceItem(f"certificate presented by {found.address}", {"protocol": found.protocol, **facts})


def issued(certificate: dict[str, Any]) -> EvidenceItem:
    """What cert-manager reports about its Certificate."""
    spec, status = certificate.get("spec", {}), certificate.get("status", {})
    issuer = spec.get("issuerRef", {})
    conditions = (each for each in status.get("conditions", []) if each.get("type") == "Ready")
    ready: dict[str, Any] = next(conditions, {})
    return EvidenceItem(
        f"Certificate {certificate['metadata']['name']}",
        {
            "uid": str(certificate["metadata"].get("uid", "")),
            "issuer": f"{issuer.get('kind', 'Issuer')} {issuer.get('name', '')}",
            "names": ", ".join(map(str, spec.get("dnsNames", []))),
            "notBefore": str(status.get("notBefore", "")),
            "notAfter": str(status.get("notAfter", "")),
            "renewalTime": str(status.get("renewalTime", "")),
            "revision": str(status.get("revision", "")),
            "ready": f"{ready.get('status', 'Unknown')} {ready.get('message', '')}".strip(),
        },
    )


def key_facts(pem: str) -> dict[str, str]:
    """The fingerprint of a public key, or of the certificates of an authority, that verifies signatures."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from triton_operator.signing.keys import fingerprint

    if "BEGIN CERTIFICATE" in pem:
        found = authorities(pem, "the key")
        return {"certificates": json.dumps([each.facts for each in found], ensure_ascii=False)}
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return {"problem": "it is not a public key in PEM form"}
    return {"sha256": fingerprint(key)} if isinstance(key, EllipticCurvePublicKey) else {"problem": "not supported"}


def _facts_or_problem(certificate: x509.Certificate) -> dict[str, str]:
    """The library decodes names and extensions only when they are read; an invalid one must not prevent the report."""
    try:
        return _facts(certificate)
    except (ValueError, TypeError) as error:
        return {"problem": f"is not a valid certificate: {error}"}


def _facts(certificate: x509.Certificate) -> dict[str, str]:
    from cryptography.hazmat.primitives.hashes import SHA256

    names = _names(certificate)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        **({"names": names} if names else {}),
        "serial": f"{certificate.serial_number:x}",
        "notBefore": format_time(certificate.not_valid_before_utc),
        "notAfter": format_time(certificate.not_valid_after_utc),
        "sha256": certificate.fingerprint(SHA256()).hex(),
    }


def _names(certificate: x509.Certificate) -> str:
    """The DNS names and addresses that clients verify; "" if there are none."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return ", ".join(map(str, [*found.get_values_for_type(x509.DNSName), *found.get_values_for_type(x509.IPAddress)]))
