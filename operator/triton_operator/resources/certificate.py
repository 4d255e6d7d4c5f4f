"""The Certificate of TLS mode CertManager: a request to cert-manager, which writes the Secret that the pods mount.

Pure. The operator never reads that Secret.
"""

from __future__ import annotations

from triton_operator.api.names import certificate_name
from triton_operator.api.privacy import CertManager
from triton_operator.api.serving_names import serving_names
from triton_operator.api.spec import ModelDeployment
from triton_operator.resources.metadata import Manifest, child_metadata


def build_certificate(deployment: ModelDeployment, cert_manager: CertManager) -> Manifest:
    """The Certificate, for the same names as one of mode Managed."""
    metadata, issuer = deployment.metadata, cert_manager.issuer_ref
    name = certificate_name(metadata.name)
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": child_metadata(deployment, name),
        "spec": {
            "secretName": name,
            "dnsNames": list(serving_names(metadata.namespace, metadata.name, deployment.spec.service.hostnames)),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            "issuerRef": {"name": issuer.name, "kind": issuer.kind, "group": issuer.group},
        },
    }
