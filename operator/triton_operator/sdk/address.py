"""Where a deployment answers, seen from here.

Enters: a deployment's name. Leaves: `host:port`, kept open while the context lasts. The client calls it.
Inside the cluster the Service's name is the address. Outside, kubectl forwards a port; a kubeconfig or context that
is named explicitly (or by KUBECONFIG) means another cluster than the one we may be running in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from triton_operator.api.names import PORT_GRPC, PORT_HTTP
from triton_operator.sdk.errors import Unreachable
from triton_operator.sdk.kubectl import Kubectl
from triton_operator.sdk.port_forward import port_forward


class Protocol(StrEnum):
    """How to ask; both carry the KServe v2 protocol."""

    HTTP = "http"
    GRPC = "grpc"

    @property
    def port(self) -> int:
        """The Service's port."""
        return PORT_GRPC if self is Protocol.GRPC else PORT_HTTP


@contextmanager
def address_of(name: str, namespace: str, protocol: Protocol, *, url: str, kubectl: Kubectl) -> Iterator[str]:
    """Yield `host:port` of the deployment; `url`, when given, goes before all else."""
    if url:
        yield strip_scheme(url)
    elif is_inside(os.environ, kubectl):
        yield f"{name}.{namespace}.svc:{protocol.port}" if namespace else f"{name}:{protocol.port}"
    else:
        with port_forward(kubectl, name, protocol.port, namespace) as address:
            yield address


def is_inside(environ: Mapping[str, str], kubectl: Kubectl) -> bool:
    """Whether this program runs in a pod and means that pod's cluster."""
    other = kubectl.kubeconfig or kubectl.context or environ.get("KUBECONFIG")
    return "KUBERNETES_SERVICE_HOST" in environ and not other


def strip_scheme(url: str) -> str:
    """Reduce `http://host:port/` to `host:port`; TLS comes with the proxy and is refused until then."""
    scheme, separator, rest = url.rpartition("://")
    if separator and scheme not in {"http", "grpc"}:
        raise Unreachable(f"{url}: only http:// and grpc:// can be used here, not {scheme}://")
    return rest.rstrip("/")
