"""The address of a deployment's server, inside and outside its cluster.

Input: the name of a deployment. Output: a `ServerAddress`, valid while the context is open. `connection` calls it.
Inside the cluster it is that of the Service. Outside, or if a kubeconfig or context is named explicitly (or by
KUBECONFIG), `kubectl port-forward` leads to a pod. kubectl is used for that instead of the `kubernetes` package: the
package replaces `socket.create_connection` in the whole program, handles every byte in Python, and supports fewer login
methods.

Deployments use plain HTTP and gRPC. When they support TLS and tokens, `server_address` fills in `Security`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from triton_operator.api.names import PORT_GRPC, PORT_HTTP
from triton_operator.sdk.errors import InvalidRequestError, UnreachableError
from triton_operator.sdk.kube_context import KubeContext, is_inside
from triton_operator.sdk.port_forward import port_forward

_LAST_PORT = 65535


class Protocol(StrEnum):
    """The protocol to use; both carry the KServe v2 protocol."""

    HTTP = "http"
    GRPC = "grpc"

    @property
    def port(self) -> int:
        """The port of the Service."""
        return PORT_GRPC if self is Protocol.GRPC else PORT_HTTP


@dataclass(frozen=True)
class Security:
    """What a connection needs besides its address: nothing, because deployments have neither TLS nor tokens."""

    def headers(self) -> dict[str, str]:
        """Return the headers of one request, called for each because tokens expire."""
        return {}


@dataclass(frozen=True)
class ServerAddress:
    """One server: `target` is `host:port`; `forwarded` if it is that of a port-forward."""

    target: str
    forwarded: bool = False
    security: Security = Security()

    def headers(self) -> dict[str, str]:
        """Return the headers of the next request."""
        return self.security.headers()


@contextmanager
def server_address(
    name: str, namespace: str, protocol: Protocol, *, url: str, cluster: KubeContext
) -> Iterator[ServerAddress]:
    """Yield the address of the deployment's server; a `url` takes precedence."""
    if url:
        yield ServerAddress(strip_scheme(url))
    elif is_inside(os.environ, cluster):
        yield ServerAddress(f"{name}.{namespace}.svc:{protocol.port}" if namespace else f"{name}:{protocol.port}")
    else:
        with port_forward(cluster, name, protocol.port, namespace) as address:
            yield ServerAddress(address, forwarded=True)


def strip_scheme(url: str) -> str:
    """Reduce `http://host:port/` to `host:port`; raises an SdkError for other schemes and invalid addresses."""
    scheme, separator, rest = url.rpartition("://")
    if separator and scheme not in {"http", "grpc"}:
        raise UnreachableError(f"{url}: only http:// and grpc:// can be used here, not {scheme}://")
    target = rest.rstrip("/")
    if not (target and target.isascii() and target.isprintable()) or set(target) & set(" @?#"):
        raise InvalidRequestError("url", f"{url!r} is no address: HOST:PORT, such as 127.0.0.1:8000")
    port = target.partition("/")[0].rpartition(":")[2]
    if ":" in target and not (port.isdecimal() and 0 < int(port) <= _LAST_PORT):
        raise InvalidRequestError(
            "url", f"{url!r} has {port!r} where a port is expected: HOST:PORT, such as 127.0.0.1:8000"
        )
    return target
