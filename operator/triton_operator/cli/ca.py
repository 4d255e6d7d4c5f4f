"""`tritonctl ca`: print the CA certificates that verify the certificate of a deployment.

Input: a name. Output: a PEM bundle on standard output or in a file, for `curl --cacert` and other clients.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.options import Context, Kubeconfig, Name, Namespace, kube_context
from triton_operator.cli.terminal.output import write_result

EPILOG = """\b
Examples:
  tritonctl ca digits -n models > ca.crt
  curl --cacert ca.crt https://digits.models.svc:8443/v2/models/digits
\b
From outside the cluster, forward the port and make curl connect to it instead of the name in the URL:
  kubectl port-forward -n models service/digits 8443
  curl --cacert ca.crt --connect-to ::127.0.0.1: https://digits.models.svc:8443/v2/models/digits
"""


def ca(
    name: Name,
    namespace: Namespace = "",
    output_file: Annotated[
        Path | None, typer.Option("--output-file", metavar="FILE", help="Write to this file instead of printing.")
    ] = None,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    """Print the CA certificates that verify a deployment's certificate, as PEM.

    The exit status is 1 if the operator does not manage the deployment's certificate.
    """
    from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
    from triton_operator.sdk.access import bundle
    from triton_operator.sdk.kubernetes_client import KubernetesClient
    from triton_operator.sdk.status import read_status

    client = KubernetesClient(kube_context(kubeconfig, context))
    deployment = client.get(MODEL_DEPLOYMENTS, name, namespace)
    endpoints = read_status(deployment).endpoints
    if not endpoints.https:
        raise CommandFailedError(f"{name} has no TLS; see spec.privacy.tls and `tritonctl status {name}`")
    if endpoints.ca_bundle_ref is None:
        raise CommandFailedError(
            f"the operator does not manage the certificate of {name}. With the mode CertManager, get ca.crt from the "
            "Secret of the Certificate; otherwise, ask the owner of the certificate for the CA certificate, unless "
            "clients already trust the CA"
        )
    found = bundle(client, str(deployment["metadata"].get("namespace") or namespace), endpoints.ca_bundle_ref)
    write_result(found, output_file)
