"""Nothing that clients send is kept on the node: every log, file, object and metric is searched after 1,000 requests.

In each kind of place, the same search finds a word that is kept there. The requests, but no tokens, are in the memory
of the server, of which one part has files: the memory that it shares with its backends.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.native.node import NativeCluster
from tests.e2e.kept_data import KeptData
from tests.kube import Kube, Object
from tests.proxy.canary import WORD, forms, number_forms, send_canaries, token_forms
from tests.proxy.clients import Client, infer_request
from tests.proxy.tokens import Signer
from tests.served import serve
from triton_operator.api.names import audience, token_issuer
from triton_operator.resources.public_keys import key_id

NAME, MODEL = "linear-regression", "linear_regression"
REQUESTS = 1000
CALLER = "kept-3f8b21"
"""The name of a caller is part of the spec, of the proxy's configuration and of the audit log."""
KEPT = {
    "logs of containers": CALLER,
    "files of the pod": CALLER,
    "files of the node": CALLER,
    "command lines and environments": "tritonserver",
    "objects": CALLER,
    "metrics": MODEL,
}
PLACES = {
    "logs of containers": ["/triton/", "/proxy/", "/prepare/", "/pods/triton-operator-system_"],
    "files of the pod": ["/haproxy.cfg", "/policy.json", "termination-log"],
    "files of the node": ["/member/wal/", "/member/snap/db", "/logs/kubelet.log", "/meta.db"],
    "command lines and environments": ["/cmdline", "/environ"],
    "objects": ["events", "configmaps", "secrets", "modeldeployments", "leases", "pods", "replicasets"],
    "metrics": [":8002/", ":8080/", "/proxy/metrics/cadvisor", "/stats/summary"],
}
SHARED_MEMORY = ("/root/dev/shm/", "/kubernetes.io~empty-dir/shm/")
SIGNER = Signer()


@pytest.fixture(scope="module")
def kept(node: RunningCluster, operator: str, kube: Kube, model_deployment: Callable[..., Object]) -> KeptData:
    """Serve a model for a ServiceAccount, and for a caller with a token of its own."""
    if not isinstance(node, NativeCluster):
        pytest.skip("only the files of the native node can be searched")
    since = time.time()
    clients = [
        {"name": CALLER, "token": {"publicKeys": [SIGNER.pem], "revoked": ["revoked"]}},
        {"name": "checkout", "serviceAccount": {"name": "checkout"}},
    ]
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "checkout"}})
    kube.apply(model_deployment(MODEL, privacy={"tls": {"mode": "Managed"}, "clients": clients}))
    kube.wait_ready(NAME)
    return KeptData(node, kube, operator, NAME, since)


def test_nothing_that_clients_send_is_kept_on_the_node(
    node: RunningCluster, kube: Kube, kept: KeptData, measured: Callable[[str], None]
) -> None:
    for_caller = {"iss": token_issuer(kube.namespace, NAME, CALLER), "aud": audience(kube.namespace, NAME)}
    admitted = SIGNER.token({"kid": key_id(SIGNER.pem)}, **for_caller, note=WORD)
    of_account = kube.run("create", "token", "checkout", f"--audience={audience(kube.namespace, NAME)}").strip()
    revoked = SIGNER.token({"kid": key_id(SIGNER.pem)}, **for_caller, note=WORD, jti="revoked")
    tokens = [admitted, of_account, revoked, "no-token-5f1c9d"]
    with serve(node, kube, NAME) as served:
        assert served.tls
        port, name = served.https_port, served.tls.server_name
        clients = [Client(port, served.tls.ca_file.read_bytes(), token=each, server_name=name) for each in tokens]
        assert [client.infer().status for client in clients] == [200, 200, 401, 401]
        for client in clients:
            send_canaries(client, REQUESTS // len(clients))
        assert clients[0].call("ModelInfer", infer_request()).model_name == MODEL
    in_tokens = [form for token in tokens for form in token_forms(token)]
    in_requests = [*forms(), *number_forms()]
    found: list[tuple[str, str]] = []
    overlooked: list[tuple[str, str]] = []
    for kind, texts in kept.kinds().items():
        places, size, controls = [], 0, 0
        for place, text in texts():
            sought = in_tokens if is_shared_memory(place) else [*in_tokens, *in_requests]
            found += [(place, form) for form in sought if form.encode("latin-1") in text]
            controls += KEPT[kind].encode() in text
            size += len(text)
            places.append(place)
        overlooked += [(kind, each) for each in PLACES[kind] if not any(each in place for place in places)]
        overlooked += [(kind, KEPT[kind])] if not controls else []
        measured(f"{kind}: {len(places)} places, {size / 1e6:.1f} MB, {controls} with {KEPT[kind]}")
    assert overlooked == []
    assert found == []
    assert shared_memory_is_memory(kube)


def is_shared_memory(place: str) -> bool:
    """Whether a file is part of the memory that Triton shares with its backends, which read requests there."""
    return any(folder in place for folder in SHARED_MEMORY)


def shared_memory_is_memory(kube: Kube) -> bool:
    (pod,) = kube.list("pods", f"triton-operator.io/model-deployment={NAME}")
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "shm"]
    return bool(volume["emptyDir"]["medium"] == "Memory")
