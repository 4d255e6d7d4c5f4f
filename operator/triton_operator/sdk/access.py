"""Find out whether a deployment has TLS, which CA certificates verify its certificate, and which token to send.

Input: a deployment's name or a URL, and the caller's options. Output: an `Access`. `address` calls it. A
ModelDeployment reports its TLS in `status.endpoints`. If that cannot be read, the result is an error and never a plain
connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from triton_operator.api import names
from triton_operator.api.status import CABundleRef, Endpoints
from triton_operator.cluster.observed import Kind
from triton_operator.cluster.resource_paths import CHILDREN, MODEL_DEPLOYMENTS
from triton_operator.sdk.client_certificate import ClientCertificate, read_client_certificate
from triton_operator.sdk.errors import DeploymentNotFoundError, InvalidRequestError, RejectedError, UnreachableError
from triton_operator.sdk.kube_context import KubeContext, is_inside
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.security import Security, Trust
from triton_operator.sdk.service_account_token import service_account_token
from triton_operator.sdk.status import read_status
from triton_operator.sdk.tokens import CalledToken, FileToken, FixedToken, TokenSource, audiences

POD_FOLDER = Path("/var/run/secrets/triton-operator")
"""Where a pod mounts its token for a deployment, and the CA bundle; docs/sdk.md has the volume."""
POD_TOKEN, POD_AUTHORITIES = "token", "ca.crt"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class AccessOptions:
    """The caller's choices; the members are arguments of the clients."""

    ca_file: str = ""
    server_name: str = ""
    token: str | Callable[[], str] = ""
    token_file: str = ""
    service_account: str = ""
    cert: tuple[str, str] | tuple[()] = ()

    def __post_init__(self) -> None:
        given = [each for each in ("token", "token_file", "service_account") if getattr(self, each)]
        if len(given) > 1:
            raise InvalidRequestError(given[1], f"only one of {' and '.join(given)} can be used")


@dataclass(frozen=True)
class Target:
    """What to connect to: a deployment of a cluster, which `client` reads, or `url`."""

    deployment: str
    namespace: str
    url: str
    cluster: KubeContext
    client: KubernetesClient
    options: AccessOptions


@dataclass(frozen=True)
class Access:
    """How to connect; `namespace` is that of the deployment, "" if it is the default one.

    `endpoints` are the addresses that the deployment reports, None if they were not read.
    """

    namespace: str
    security: Security
    endpoints: Endpoints | None = None


def access_by_url(target: Target, *, tls: bool) -> Access:
    """Return the access for `target.url`; `tls` if its scheme, or an option, requires it. Raises SdkError."""
    options = target.options
    trust = Trust(_authorities(options.ca_file), options.server_name, client=_client(options)) if tls else None
    token = _chosen_token(target, lambda: target.namespace or target.client.namespace)
    return Access(target.namespace, Security(trust, token))


def access_by_name(target: Target) -> Access:
    """Return the access to the deployment; raises SdkError."""
    inside, client = is_inside(os.environ, target.cluster), target.client
    file = target.options.ca_file or (_existing(POD_AUTHORITIES) if inside else "")
    endpoints: Endpoints | None = None
    if file:
        namespace = target.namespace or (_pod_namespace() if inside else client.namespace)
        trust: Trust | None = _own_trust(target, namespace, _authorities(file))
        # Pods with this file need no access to the API server, and may have none.
        endpoints = None if inside else _readable_endpoints(target)
    else:
        namespace, endpoints = _endpoints(target, inside=inside)
        trust = _reported_trust(target, namespace, endpoints)
    if trust is None and target.options.cert:
        raise InvalidRequestError("cert", f"{target.deployment} has no TLS, without which no certificate can be sent")
    token = _chosen_token(target, lambda: namespace)
    if token is None and inside and trust is not None:
        token = _pod_token(names.audience(namespace, target.deployment))
    return Access(namespace, Security(trust, token), endpoints)


def bundle(client: KubernetesClient, namespace: str, reference: CABundleRef) -> str:
    """Return the CA certificates in a ConfigMap as PEM; raises SdkError."""
    where = f"ConfigMap {reference.name} in namespace {namespace}"
    try:
        data = client.get(CHILDREN[Kind.CONFIG_MAP], reference.name, namespace).get("data") or {}
    except DeploymentNotFoundError as error:
        raise UnreachableError(f"{where}, which has the CA certificates of the deployment, does not exist") from error
    except RejectedError as error:
        raise RejectedError(
            f"the CA certificates of the deployment are in {where}: {error}. Ask for permission to get it, or pass "
            "them with ca_file (--ca-file)"
        ) from error
    if not data.get(reference.key):
        raise UnreachableError(f"{where} has no key {reference.key}, which has the CA certificates of the deployment")
    return str(data[reference.key])


def _endpoints(target: Target, *, inside: bool) -> tuple[str, Endpoints]:
    """The namespace of the deployment, and its addresses."""
    name = target.deployment
    try:
        found = target.client.get(MODEL_DEPLOYMENTS, name, target.namespace)
    except (RejectedError, UnreachableError) as error:
        if isinstance(error, UnreachableError) and not inside:
            raise
        file = POD_FOLDER / POD_AUTHORITIES
        advice = f"mount the CA certificates as {file}, or pass ca_file or url" if inside else "pass --ca-file or --url"
        raise type(error)(f"it is not known whether {name} uses TLS: {error} ({advice})") from error
    namespace = str(found["metadata"].get("namespace") or target.namespace)
    endpoints = read_status(found).endpoints
    if not (endpoints.https or endpoints.http):
        raise UnreachableError(
            f"the operator has not reported an address of {name} yet; wait until it is Ready, for example with "
            f"`tritonctl status {name} --watch`"
        )
    return namespace, endpoints


def _readable_endpoints(target: Target) -> Endpoints | None:
    """The addresses; None if they cannot be read, because only a Service with unusual ports needs them."""
    try:
        return _endpoints(target, inside=False)[1]
    except (RejectedError, UnreachableError):
        return None


def _reported_trust(target: Target, namespace: str, endpoints: Endpoints) -> Trust | None:
    if not endpoints.https:
        return None
    reference = endpoints.ca_bundle_ref
    return _own_trust(target, namespace, bundle(target.client, namespace, reference) if reference else "")


def _own_trust(target: Target, namespace: str, authorities: str) -> Trust:
    name = target.options.server_name or names.server_name(namespace, target.deployment)
    return Trust(authorities, name, own=True, client=_client(target.options))


def _client(options: AccessOptions) -> ClientCertificate | None:
    return read_client_certificate(*options.cert) if options.cert else None


def _chosen_token(target: Target, namespace: Callable[[], str]) -> TokenSource | None:
    """The source of tokens that the options select."""
    options = target.options
    if options.service_account:
        place = namespace()
        audience = names.audience(place, target.deployment)
        return service_account_token(target.client, options.service_account, place, audience)
    if options.token:
        return FixedToken(options.token) if isinstance(options.token, str) else CalledToken(options.token)
    return FileToken(Path(options.token_file)) if options.token_file else None


def _pod_token(audience: str) -> TokenSource | None:
    """The token that is mounted in this pod; another deployment must not get it, because it could use it."""
    file = _existing(POD_TOKEN)
    source = FileToken(Path(file)) if file else None
    return source if source and audience in audiences(source.read()) else None


def _authorities(file: str) -> str:
    if not file:
        return ""
    try:
        text = Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError("ca_file", f"{file} cannot be read: {error}") from error
    if not text.strip():
        raise InvalidRequestError("ca_file", f"{file} is empty")
    return text


def _existing(name: str) -> str:
    file = POD_FOLDER / name
    return str(file) if file.is_file() else ""


def _pod_namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError as error:
        raise InvalidRequestError("namespace", f"pass it, because this pod does not know its own: {error}") from error
