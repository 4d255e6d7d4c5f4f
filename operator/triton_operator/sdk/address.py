"""The address of a deployment's server, inside and outside its cluster, and how to connect to it securely.

Input: the name of a deployment. Output: a `ServerAddress`, valid while the context is open. `connection` calls it.
Inside the cluster it is that of the Service. Outside, or if a kubeconfig or context is named explicitly (or by
KUBECONFIG), `kubectl port-forward` leads to a pod. kubectl is used for that instead of the `kubernetes` package: the
package replaces `socket.create_connection` in the whole program, handles every byte in Python, and supports fewer login
methods.

`access` finds out whether the deployment has TLS. Then the port is `https`, for both protocols.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from triton_operator.api.names import PORT_GRPC, PORT_HTTP, PORT_HTTPS, server_name
from triton_operator.api.status import Endpoints
from triton_operator.api.url import without_secrets
from triton_operator.sdk.access import Access, Target, access_by_name, access_by_url
from triton_operator.sdk.errors import InvalidRequestError, UnreachableError
from triton_operator.sdk.kube_context import is_inside
from triton_operator.sdk.port_forward import port_forward
from triton_operator.sdk.security import PLAIN, Security

_LAST_PORT = 65535
_PLAIN, _TLS = {"http", "grpc"}, {"https", "grpcs"}


class Protocol(StrEnum):
    """The protocol to use; both carry the KServe v2 protocol."""

    HTTP = "http"
    GRPC = "grpc"

    @property
    def port(self) -> int:
        """The port of the Service without TLS, unless `spec.service.ports` has another one."""
        return PORT_GRPC if self is Protocol.GRPC else PORT_HTTP


@dataclass(frozen=True)
class ServerAddress:
    """One server: `target` is `host:port`; `forwarded` if it is that of a port-forward."""

    target: str
    forwarded: bool = False
    security: Security = PLAIN

    def headers(self) -> dict[str, str]:
        """Return the headers of the next request; raises SdkError if it needs a token that cannot be obtained."""
        return self.security.headers()

    @property
    def server_name(self) -> str:
        """The name that the server's certificate must have."""
        trust = self.security.trust
        return (trust.server_name if trust else "") or self.target.partition("/")[0].rpartition(":")[0]


@contextmanager
def server_address(target: Target, protocol: Protocol) -> Iterator[ServerAddress]:
    """Yield the address of the deployment's server; a `url` takes precedence. Raises SdkError."""
    access = find_access(target)
    name, security = target.deployment, access.security
    port = _service_port(access, protocol)
    if target.url:
        yield ServerAddress(split_url(target.url)[1], security=security)
    elif is_inside(os.environ, target.cluster):
        host = server_name(access.namespace, name) if access.namespace else name
        yield ServerAddress(f"{host}:{port}", security=security)
    else:
        with port_forward(target.cluster, name, port, access.namespace) as address:
            yield ServerAddress(address, forwarded=True, security=security)


def _service_port(access: Access, protocol: Protocol) -> int:
    """The port of the Service: the reported one, or the default if the deployment's status was not read."""
    tls = access.security.trust is not None
    found = access.endpoints or Endpoints()
    address = found.https if tls else (found.grpc if protocol is Protocol.GRPC else found.http)
    port = address.rpartition(":")[2]
    default = PORT_HTTPS if tls else protocol.port
    return int(port) if port.isdecimal() else default


def find_access(target: Target) -> Access:
    """Return how to connect to the server securely, without connecting; raises SdkError."""
    if not target.url:
        return access_by_name(target)
    scheme, _ = split_url(target.url)
    needing = [option for option in ("ca_file", "cert") if getattr(target.options, option)]
    tls = scheme in _TLS or (not scheme and bool(needing))
    if needing and not tls:
        raise InvalidRequestError(
            "url", f"{scheme}:// has no TLS, for which {needing[0]} was given; use https:// or grpcs://"
        )
    return access_by_url(target, tls=tls)


def split_url(url: str) -> tuple[str, str]:
    """Return the scheme, "" if there is none, and `host:port`; raises an SdkError for an invalid address."""
    scheme, separator, rest = url.rpartition("://")
    if separator and scheme not in _PLAIN | _TLS:
        raise UnreachableError(f"{scheme}://: only http://, https://, grpc:// and grpcs:// can be used here")
    target = rest.rstrip("/")
    if not (target and target.isascii() and target.isprintable()) or set(target) & set(" @?#"):
        raise InvalidRequestError(
            "url", f"{without_secrets(url)!r} is not an address; expected HOST:PORT, such as 127.0.0.1:8000"
        )
    port = target.partition("/")[0].rpartition(":")[2]
    if ":" in target and not (port.isdecimal() and 0 < int(port) <= _LAST_PORT):
        raise InvalidRequestError(
            "url", f"{without_secrets(url)!r} has {port!r} where a port is expected: HOST:PORT, such as 127.0.0.1:8000"
        )
    return scheme, target
