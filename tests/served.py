"""Clients of one deployment for tests outside the cluster: tritonclient, the SDK and curl, with TLS if it has TLS.

`serve` reads `status.endpoints`, as clients do, so a test need not know the deployment's TLS mode.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tritonclient.grpc
import tritonclient.http
from cryptography import x509

from hack.cluster.handle import RunningCluster
from tests.kube import Kube
from triton_operator.sdk import Client, Protocol

NETWORK_TIMEOUT = 60.0


@dataclass(frozen=True)
class TLSClient:
    """What a client needs to verify the deployment: a file with the authorities, and the name in the certificate."""

    ca_file: Path
    server_name: str


@dataclass(frozen=True)
class Served:
    """A deployment; the addresses are `127.0.0.1:PORT`, with TLS the same one for both protocols."""

    name: str
    http_address: str
    grpc_address: str
    tls: TLSClient | None = None

    @property
    def https_port(self) -> int:
        """The port of this machine for both protocols with TLS."""
        assert self.tls, f"{self.name} has no TLS"
        return int(self.http_address.rpartition(":")[2])

    def http(self) -> tritonclient.http.InferenceServerClient:
        """A client of tritonclient; use it as a context manager."""
        if self.tls is None:
            return tritonclient.http.InferenceServerClient(self.http_address, network_timeout=NETWORK_TIMEOUT)
        return tritonclient.http.InferenceServerClient(
            self.http_address,
            network_timeout=NETWORK_TIMEOUT,
            ssl=True,
            ssl_options={"ca_certs": str(self.tls.ca_file), "server_hostname": self.tls.server_name},
        )

    def grpc(self) -> tritonclient.grpc.InferenceServerClient:
        """A client of tritonclient; use it as a context manager."""
        if self.tls is None:
            return tritonclient.grpc.InferenceServerClient(self.grpc_address)
        return tritonclient.grpc.InferenceServerClient(
            self.grpc_address,
            ssl=True,
            root_certificates=str(self.tls.ca_file),
            channel_args=[("grpc.ssl_target_name_override", self.tls.server_name)],
        )

    def client(self, protocol: Protocol = Protocol.HTTP, **options: Any) -> Client:
        """A client of the SDK; use it as a context manager."""
        address = self.grpc_address if protocol is Protocol.GRPC else self.http_address
        if self.tls is None:
            return Client(self.name, protocol=protocol, url=address, **options)
        scheme = "grpcs" if protocol is Protocol.GRPC else "https"
        return Client(
            self.name,
            protocol=protocol,
            url=f"{scheme}://{address}",
            ca_file=self.tls.ca_file,
            server_name=self.tls.server_name,
            **options,
        )

    def certificate(self) -> x509.Certificate:
        """The certificate on a new connection, after the client has verified it."""
        assert self.tls
        context = ssl.create_default_context(cafile=str(self.tls.ca_file))
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=self.tls.server_name) as encrypted,
        ):
            certificate = encrypted.getpeercert(binary_form=True)
        assert certificate
        return x509.load_der_x509_certificate(certificate)

    def curl(self, path: str, *options: str) -> str:
        """The output of `curl`, which fails the test if it exits with an error."""
        return subprocess.run(
            ["curl", "--silent", *options, *self._curl_address(path)], capture_output=True, text=True, check=True
        ).stdout

    def status_code(self, path: str, *options: str) -> int:
        """The status code of a request of `curl`."""
        return int(self.curl(path, "--output", "/dev/null", "--write-out", "%{http_code}", *options))

    def _curl_address(self, path: str) -> list[str]:
        if self.tls is None:
            return [f"http://{self.http_address}/{path}"]
        name, (host, _, port) = self.tls.server_name, self.http_address.rpartition(":")
        return [
            "--cacert", str(self.tls.ca_file), "--resolve", f"{name}:{port}:{host}", f"https://{name}:{port}/{path}",
        ]  # fmt: skip


@contextmanager
def serve(node: RunningCluster, kube: Kube, name: str) -> Iterator[Served]:
    """Yield the deployment `name` while the block runs."""
    body = kube.get("modeldeployment", name)
    assert body, f"ModelDeployment {name} does not exist"
    endpoints = body["status"]["endpoints"]
    with ExitStack() as opened:
        if not endpoints.get("https"):
            reach = (node.reach(kube.namespace, name, port) for port in ("http", "grpc"))
            http, grpc = (opened.enter_context(each) for each in reach)
            yield Served(name, http, grpc)
            return
        reference = endpoints["caBundleRef"]
        bundle = kube.get("configmap", reference["name"])
        assert bundle, f"ConfigMap {reference['name']} does not exist"
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        ca_file = folder / "ca.crt"
        ca_file.write_text(bundle["data"][reference["key"]])
        address = opened.enter_context(node.reach(kube.namespace, name, "https"))
        yield Served(name, address, address, TLSClient(ca_file, f"{name}.{kube.namespace}.svc"))
