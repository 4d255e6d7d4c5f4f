"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from triton_operator.cli.cluster.names import complete_contexts, complete_deployments, complete_namespaces
from triton_operator.cli.terminal.formats import OutputFormat
from triton_operator.sdk.access import AccessOptions
from triton_operator.sdk.address import Protocol
from triton_operator.sdk.client_certificate import names_of_files
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.kube_context import KubeContext

FIELD_MANAGER = "tritonctl"
"""The owner of the fields that the commands apply."""

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of the ModelDeployment.", autocompletion=complete_deployments),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NS",
        help="Namespace; by default, the one of the current context.",
        autocompletion=complete_namespaces,
    ),
]
Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="Output format.")]
Kubeconfig = Annotated[
    str, typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig file; by default, the one that kubectl uses.")
]
Context = Annotated[
    str,
    typer.Option("--context", metavar="NAME", help="Context in the kubeconfig.", autocompletion=complete_contexts),
]
ModelName = Annotated[
    str,
    typer.Option("--model", "-m", metavar="MODEL", help="Model to use; required if the deployment has several."),
]
WireProtocol = Annotated[Protocol, typer.Option("--protocol", "-p", help="Protocol to use.")]
Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="HOST:PORT",
        help="Connect to this address instead of port-forwarding; prefix it with https:// for TLS.",
    ),
]
CAFile = Annotated[
    str,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        help="PEM file with the CA certificates to trust; by default, those of the deployment.",
    ),
]
ServerName = Annotated[
    str,
    typer.Option(
        "--server-name",
        metavar="NAME",
        help="Name that the certificate must have; by default, that of the Service or of the host in --url.",
    ),
]
TokenFile = Annotated[str, typer.Option("--token-file", metavar="FILE", help="File with the bearer token to send.")]
ServiceAccount = Annotated[
    str,
    typer.Option(
        "--service-account",
        metavar="[NS/]NAME",
        help="Send a token of this ServiceAccount; requires permission to create serviceaccounts/token.",
    ),
]
CertFile = Annotated[str, typer.Option("--cert", metavar="FILE", help="PEM file with the client certificate to send.")]
KeyFile = Annotated[
    str,
    typer.Option("--key", metavar="FILE", help="PEM file with its private key; by default, the file passed to --cert."),
]
RequestTimeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Time limit for each request.")
]
Invert = Annotated[bool, typer.Option("--invert", help="Invert the brightness of images: dark becomes light.")]


def kube_context(kubeconfig: str, context: str) -> KubeContext:
    """Access to the cluster that the options select."""
    return KubeContext(kubeconfig=kubeconfig, context=context)


def access_options(
    ca_file: str, server_name: str, token_file: str, service_account: str, cert: str, key: str
) -> AccessOptions:
    """TLS, the token and the certificate that the options select; raises InvalidRequestError."""
    if key and not cert:
        raise InvalidRequestError("key", "--key requires --cert, the certificate of the key")
    return AccessOptions(
        ca_file=ca_file,
        server_name=server_name,
        token_file=token_file,
        service_account=service_account,
        cert=names_of_files((cert, key)) if cert else (),
    )
