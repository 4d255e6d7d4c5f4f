"""The callers of a private deployment in the tests on a node, with their keys, tokens and clients.

Input: the namespace, and a deployment that is served. Output: parts of its spec, tokens, clients, and what they get.
"""

from __future__ import annotations

import json
import threading
import time

import grpc
import numpy as np

from tests.kube import Kube, Object
from tests.proxy.clients import Client, infer_request
from tests.proxy.load import Kind, Load, count
from tests.proxy.tokens import AUDIENCE, Signer
from tests.served import Served
from triton_operator.api.names import audience, token_issuer
from triton_operator.resources.public_keys import key_id
from triton_operator.sdk import Protocol
from triton_operator.sdk.errors import SdkError

NAME, MODEL = "linear-regression", "linear_regression"
ROW = np.array([[9, 10]], np.float32)
ISSUER, ISSUER_KEYS = "https://issuer.example", "issuer-keys"
OWN_KEYS = {name: Signer() for name in ("robot", "guest")}
ADMITTED, REFUSED = (200, "OK"), (401, "UNAUTHENTICATED")


def privacy(*own: str) -> Object:
    """A caller of the cluster, one of the issuer, and callers with keys of their own."""
    reference = {"name": ISSUER_KEYS, "key": "jwks.json"}
    clients: list[Object] = [
        {"name": "checkout", "serviceAccount": {"name": "checkout"}},
        {"name": "issued", "jwt": {"issuer": ISSUER, "audiences": [AUDIENCE], "jwksConfigMapRef": reference}},
        *({"name": name, "token": {"publicKeys": [OWN_KEYS[name].pem]}} for name in own),
    ]
    return {"tls": {"mode": "Managed"}, "clients": clients}


def issuer_keys(*signers: Signer) -> Object:
    """The ConfigMap with the keys of the issuer."""
    text = json.dumps({"keys": [signer.jwk() for signer in signers]})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ISSUER_KEYS}, "data": {"jwks.json": text}}


class Tokens:
    """The tokens of the callers of the deployment."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._audience = audience(kube.namespace, NAME)

    def of(self, caller: str) -> str:
        """A token of a caller with a key of its own, or else of a ServiceAccount."""
        if caller not in OWN_KEYS:
            return self._kube.run("create", "token", caller, f"--audience={self._audience}").strip()
        signer = OWN_KEYS[caller]
        issuer = token_issuer(self._kube.namespace, NAME, caller)
        return signer.token({"kid": key_id(signer.pem)}, iss=issuer, aud=self._audience, exp=expiry())

    def issued(self, signer: Signer) -> str:
        """A token of the issuer with a ConfigMap of keys."""
        return signer.token(iss=ISSUER, exp=expiry())


def expiry() -> int:
    return int(time.time()) + 3600


def client_of(served: Served, token: str) -> Client:
    assert served.tls
    bundle = served.tls.ca_file.read_bytes()
    return Client(served.https_port, bundle, token=token, server_name=served.tls.server_name)


def sdk_loads(served: Served, token: str) -> list[Kind]:
    """Load of the SDK, which reads the bundle again if it does not trust the server."""

    def load_over(protocol: Protocol) -> Kind:
        def over_sdk(_: Client, load: Load, stop: threading.Event) -> None:
            with served.client(protocol, token=token) as client:
                while not stop.is_set():
                    try:
                        client.infer(MODEL, ROW)
                        count(load, "")
                    except SdkError as error:
                        count(load, repr(error))

        return over_sdk

    return [load_over(protocol) for protocol in Protocol]


def wait_for_codes(client: Client, expected: tuple[int, str]) -> None:
    end = time.monotonic() + 180
    while (found := codes(client)) != expected:
        assert time.monotonic() < end, found
        time.sleep(0.02)


def codes(client: Client) -> tuple[int, str]:
    """The results of an inference over HTTP and over gRPC, each on a new connection."""
    try:
        client.call("ModelInfer", infer_request())
    except grpc.RpcError as error:
        return client.infer().status, str(error.code().name)
    return client.infer().status, "OK"
