"""Requests during changes of the operator: certificates, the authority, callers, keys of an issuer, and pods.

Every client but those of the SDK sends each request once. Clients read the CA bundle while the next one is
announced, as the guide requires.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cryptography import x509

from hack.cluster.handle import RunningCluster
from tests.e2e.private_callers import (
    ADMITTED,
    MODEL,
    NAME,
    REFUSED,
    Tokens,
    client_of,
    codes,
    issuer_keys,
    privacy,
    sdk_loads,
    wait_for_codes,
)
from tests.kube import Kube, Object
from tests.proxy.clients import Client
from tests.proxy.load import Load, over_grpc, over_http, over_stream, under_load, wait_for_requests
from tests.proxy.tokens import Signer
from tests.served import Served, serve
from triton_operator.api.names import (
    ANNOTATION_ROTATE,
    AUTHORITY_SECRET,
    CA_CONFIG_MAP,
    CA_KEY,
    SERVING_SECRET,
    serving_certificate_key,
)

REQUESTS = 5000
ANNOUNCED_SECONDS = 20
OLD, NEW = Signer(kid="old"), Signer(kid="new")


@pytest.fixture(scope="module", autouse=True)
def deployed(kube: Kube, model_deployment: Callable[..., Object]) -> Object:
    """Serve a model for three callers."""
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "checkout"}}, issuer_keys(OLD))
    kube.apply(model_deployment(MODEL, privacy=privacy("robot")))
    return kube.wait_ready(NAME)


@pytest.fixture
def hurried(operator: str, in_namespace: Callable[[str], Kube]) -> Iterator[Kube]:
    """An operator that announces the next authority for seconds instead of a day."""
    kube = in_namespace(operator)
    path = "/spec/template/spec/containers/0/args"

    def change(**operation: Any) -> None:
        patch = json.dumps([{"path": path, **operation}])
        kube.run("patch", "deployment", "triton-operator", "--type=json", "-p", patch)
        kube.run("rollout", "status", "deployment/triton-operator", "--timeout=300s")

    change(op="add", value=["--authority-announced", str(ANNOUNCED_SECONDS)])
    yield kube
    change(op="remove")


@pytest.fixture
def served(node: RunningCluster, kube: Kube) -> Iterator[Served]:
    with serve(node, kube, NAME) as served:
        yield served


def test_no_request_fails_while_certificates_authority_callers_and_keys_change(
    hurried: Kube, kube: Kube, served: Served, measured: Callable[[str], None]
) -> None:
    pods = serving_pods(kube)
    robot, guest, checkout = (Tokens(kube).of(name) for name in ("robot", "guest", "checkout"))
    with ExitStack() as stack:
        loads = list(stack.enter_context(under_load(client_of(served, robot), *sdk_loads(served, robot))))
        next_authority = announce(hurried, kube, served)
        issued = client_of(served, Tokens(kube).issued(OLD))
        for client, kinds in (
            (client_of(served, robot), (over_http, over_stream)),
            (client_of(served, checkout), (over_http, over_grpc)),
            (issued, (over_http, over_grpc)),
        ):
            loads += stack.enter_context(under_load(client, *kinds))
        added, removed = add_and_remove(kube, client_of(served, guest))
        replace_keys(kube, served, issued)
        renew(kube, served)
        kube.wait(lambda: served.certificate().issuer == next_authority.subject, "the next authority signs", 120)
        wait_for_requests(loads, REQUESTS)
    measured(f"{summary(loads)}; a caller admitted after {added:.1f} s, and refused after {removed:.1f} s")
    assert [load.failures for load in loads] == [[]] * len(loads)
    assert min(load.requests for load in loads) > REQUESTS // 50
    assert serving_pods(kube) == pods


def test_no_request_fails_while_pods_are_added_replaced_and_removed(
    kube: Kube, served: Served, measured: Callable[[str], None]
) -> None:
    """The pod that is replaced has all the connections. Streams end with their pod."""
    token = Tokens(kube).of("robot")
    (first,) = serving_pods(kube)
    with under_load(client_of(served, token), over_http, over_http, over_grpc, *sdk_loads(served, token)) as loads:
        scale(kube, 2)
        kube.delete("pod", first, wait=False)
        kube.wait(lambda: first not in serving_pods(kube), "the pod has ended", 90)
        kube.wait_ready(NAME)
        scale(kube, 1)
        kube.wait(lambda: len(serving_pods(kube)) == 1, "one pod is left", 90)
        wait_for_requests(loads, sum(load.requests for load in loads) + 100)
    measured(summary(loads))
    assert [load.failures for load in loads] == [[]] * len(loads)


def announce(operators: Kube, kube: Kube, served: Served) -> x509.Certificate:
    """Request another authority, and return it when the clients have the new bundle."""
    assert served.tls
    before = bundle(kube)
    operators.run("annotate", "secret", AUTHORITY_SECRET, f"{ANNOTATION_ROTATE}=Gradual")
    kube.wait(lambda: bundle(kube) != before, "the next authority is announced")
    served.tls.ca_file.write_text(bundle(kube))
    old = x509.load_pem_x509_certificates(before.encode())
    (new,) = [each for each in x509.load_pem_x509_certificates(bundle(kube).encode()) if each not in old]
    return new


def bundle(kube: Kube) -> str:
    body = kube.get("configmap", CA_CONFIG_MAP)
    assert body
    return str(body["data"][CA_KEY])


def add_and_remove(kube: Kube, guest: Client) -> tuple[float, float]:
    """Add a caller, remove it, and return how many seconds each change took, with the time of kubectl."""
    assert codes(guest) == REFUSED
    took = []
    for callers, expected in ((("robot", "guest"), ADMITTED), (("robot",), REFUSED)):
        start = time.monotonic()
        kube.patch("modeldeployment", NAME, {"spec": {"privacy": privacy(*callers)}})
        wait_for_codes(guest, expected)
        took.append(time.monotonic() - start)
    return took[0], took[1]


def replace_keys(kube: Kube, served: Served, issued: Client) -> None:
    """Add a key to those of the issuer, let the client use it, and remove the other one.

    The operator reads the ConfigMap once a minute, and when the spec changes.
    """
    old, new = issued.token, Tokens(kube).issued(NEW)
    assert codes(client_of(served, new)) == REFUSED
    kube.apply(issuer_keys(OLD, NEW))
    kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"audit": "Refused"}}})
    wait_for_codes(client_of(served, new), ADMITTED)
    issued.token = new
    kube.apply(issuer_keys(NEW))
    kube.patch("modeldeployment", NAME, {"spec": {"privacy": {"audit": "All"}}})
    wait_for_codes(client_of(served, old), REFUSED)


def renew(kube: Kube, served: Served) -> None:
    """Delete the certificate, and wait until another one is served."""
    before = served.certificate().serial_number
    kube.patch("secret", SERVING_SECRET, {"data": {serving_certificate_key(NAME): None}})
    kube.wait(lambda: served.certificate().serial_number != before, "another certificate is served", 120)


def scale(kube: Kube, replicas: int) -> None:
    kube.run("scale", f"md/{NAME}", f"--replicas={replicas}")
    kube.wait_ready(NAME)


def serving_pods(kube: Kube) -> dict[str, list[int]]:
    """The restart counts of the sidecar and of Triton, by the name of the pod."""
    return {
        pod["metadata"]["name"]: [
            each["restartCount"]
            for field in ("initContainerStatuses", "containerStatuses")
            for each in pod["status"].get(field, [])
        ]
        for pod in kube.list("pods", f"triton-operator.io/model-deployment={NAME}")
    }


def summary(loads: list[Load]) -> str:
    failed = sum(len(load.failures) for load in loads)
    total = sum(load.requests for load in loads)
    return f"{failed} of {total} requests failed ({', '.join(f'{load.name} {load.requests}' for load in loads)})"
