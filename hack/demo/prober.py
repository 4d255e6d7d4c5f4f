"""Send images of handwritten digits to a deployment, over HTTP and gRPC with TLS.

Input: a cluster with a ready deployment, and images. Output: `ProtocolPredictions`. The connections lead to the Service
and verify its certificate, as those of an application in the cluster.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hack.cluster import RunningCluster
from hack.demo.failures import DemoError
from hack.demo.next_steps import demo_down
from hack.demo.predictions import INPUT, ProtocolPredictions, likeliest_digit
from hack.install import client_of
from training.digits_data import SIDE
from triton_operator.api.names import server_name
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS
from triton_operator.sdk import Client, Protocol
from triton_operator.sdk.access import bundle
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.status import read_status

MODEL = "digits"
_SCHEMES = {Protocol.HTTP: "https", Protocol.GRPC: "grpcs"}


class Prober:
    """HTTP and gRPC connections to a deployment's Service, both with TLS; use it as a context manager."""

    def __init__(self, cluster: RunningCluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._open = ExitStack()
        self._clients: dict[Protocol, Client] = {}

    def __enter__(self) -> Self:
        """Connect, and send a blank image over each connection, so that the first measured request is not slower."""
        authorities = self._open.enter_context(tempfile.NamedTemporaryFile("w", suffix=".crt"))
        authorities.write(read_authorities(client_of(self._cluster), self._namespace, self._name))
        authorities.flush()
        address = self._open.enter_context(self._cluster.reach(self._namespace, self._name, "https"))
        for protocol, scheme in _SCHEMES.items():
            client = Client(
                self._name,
                protocol=protocol,
                url=f"{scheme}://{address}",
                ca_file=authorities.name,
                server_name=server_name(self._namespace, self._name),
            )
            self._clients[protocol] = self._open.enter_context(client)
            client.infer(MODEL, {INPUT: np.zeros((1, 1, SIDE, SIDE), np.float32)})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both connections."""
        self._open.close()

    def predict(self, image: NDArray[np.float32]) -> ProtocolPredictions:
        """Send one image over each protocol."""
        results = {protocol: client.infer(MODEL, {INPUT: image[None]}) for protocol, client in self._clients.items()}
        return ProtocolPredictions(likeliest_digit(results[Protocol.HTTP]), likeliest_digit(results[Protocol.GRPC]))


def read_authorities(client: KubernetesClient, namespace: str, name: str) -> str:
    """The authorities that clients of the deployment trust, as PEM; raises DemoError if it has no TLS."""
    reference = read_status(client.get(MODEL_DEPLOYMENTS, name, namespace)).endpoints.ca_bundle_ref
    if reference is None:  # Its pods were created by an operator without TLS; a new operator keeps them.
        raise DemoError(f"{name} has no TLS; run `{demo_down(os.environ)}` and then the demo again")
    return bundle(client, namespace, reference)
