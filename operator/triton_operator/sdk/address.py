"""Where a deployment answers, seen from here, and how to speak there.

Input: a deployment's name. Output: an `Endpoint`, kept open while the context lasts. `connection` calls it.
Inside the cluster the Service's name is the address. Outside, kubectl forwards a port; a kubeconfig or context that
is named explicitly (or by KUBECONFIG) means another cluster than the one we may be running in.

kubectl forwards, and not the `kubernetes` package: that one replaces `socket.create_connection` for the whole program,
carries every byte through Python, and knows fewer ways to log in. A forward that has broken off is made again.

A deployment speaks plain HTTP and gRPC today. When it has TLS and tokens, the place where a client learns of them is
here: `endpoint_of` fills `Security` from the deployment, the transports take the rest from the `Endpoint`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from triton_operator.api.names import PORT_GRPC, PORT_HTTP
from triton_operator.sdk.errors import InvalidRequestError, UnreachableError
from triton_operator.sdk.kubectl import Kubectl, is_inside
from triton_operator.sdk.port_forward import port_forward

_LAST_PORT = 65535


class Protocol(StrEnum):
    """How to ask; both carry the KServe v2 protocol."""

    HTTP = "http"
    GRPC = "grpc"

    @property
    def port(self) -> int:
        """The Service's port."""
        return PORT_GRPC if self is Protocol.GRPC else PORT_HTTP


@dataclass(frozen=True)
class Security:
    """What a connection needs besides its address: nothing, as long as deployments have neither TLS nor callers."""

    def headers(self) -> dict[str, str]:
        """Headers of one request, asked for anew each time, as tokens expire."""
        return {}


@dataclass(frozen=True)
class Endpoint:
    """One server: `target` is `host:port`; `forwarded` where a child process of ours leads there."""

    target: str
    forwarded: bool = False
    security: Security = Security()

    def headers(self) -> dict[str, str]:
        """Headers of the next request."""
        return self.security.headers()


@contextmanager
def endpoint_of(name: str, namespace: str, protocol: Protocol, *, url: str, kubectl: Kubectl) -> Iterator[Endpoint]:
    """Yield the deployment's endpoint; `url`, when given, goes before all else."""
    if url:
        yield Endpoint(strip_scheme(url))
    elif is_inside(os.environ, kubectl):
        yield Endpoint(f"{name}.{namespace}.svc:{protocol.port}" if namespace else f"{name}:{protocol.port}")
    else:
        with port_forward(kubectl, name, protocol.port, namespace) as address:
            yield Endpoint(address, forwarded=True)


def strip_scheme(url: str) -> str:
    """Reduce `http://host:port/` to `host:port`; TLS comes with the proxy and is refused until then."""
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
