"""Encrypted models whose keys a vault unwraps for pods, and what of them is kept on the node.

The vault is a host outside the cluster. It verifies the tokens of pods with the API server. The plaintext and the keys
are searched on the disks of the node while a pod loads, serves and ends in every way; each search finds planted files.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.native.layout import NODE_ADDRESS
from hack.cluster.native.node import NativeCluster
from tests.certificates import Authority
from tests.e2e.company_vault import CANARY, MODELS, Company, encrypt_models, key_forms
from tests.e2e.kept_data import KeptData
from tests.e2e.outside_host import outside_host
from tests.e2e.test_network_policy import open_egress
from tests.kube import Kube, Object
from tests.network_attempts import PORT, Attempt, answered
from tests.served import serve
from tests.vault_server import failed, vault_server
from tests.volumes import claimed_folder
from training.verify import verify
from triton_operator.cpu_server.entrypoint import NO_CORE_DUMPS
from triton_operator.resources.vault import AUDIENCE
from triton_operator.triton.prepare_contract.request import VAULT_DIR

NAME, ROLE = "private-digits", "shop-reader"
PODS = f"triton-operator.io/model-deployment={NAME}"
VAULT_PORT = 8200
QUICKLY = "--grace-period=1"
LOGS, POD_FILES, NODE_FILES = "logs of containers", "files of the pod", "files of the node"
PROCESSES, OBJECTS, METRICS = "command lines and environments", "objects", "metrics"
ON_DISKS = (LOGS, POD_FILES, NODE_FILES)
ETCD, KEY_VOLUME = "/member/", "/kubernetes.io~secret/decryption-key/"
KEPT = {
    LOGS: b"digits",
    POD_FILES: b"digits",
    NODE_FILES: ROLE.encode(),
    PROCESSES: b"tritonserver",
    OBJECTS: ROLE.encode(),
    METRICS: b"digits",
}
"""A word that is in each kind of places."""
CHART_WORD = b"kind: Deployment"


@pytest.fixture(scope="module")
def company(node: RunningCluster, kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Encrypt the models onto a claim: with keys that the vault wraps, and again with a keyset in a file."""
    if not isinstance(node, NativeCluster):
        pytest.skip("a host outside can be added to the native node only")
    authority = Authority("company")
    with outside_host(node) as outside, claimed_folder(node, kube, "vault") as folder:
        certificate = authority.issue(tmp_path_factory.mktemp("certificate"), [outside.address])
        with vault_server(certificate, outside.listen(VAULT_PORT)) as vault:
            found = Company(vault, kube)
            vault.roles, vault.admits = {ROLE: "models"}, found.admits
            encrypt_models(found, folder)
            ca = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "company-ca"}}
            kube.apply(ca | {"data": {"ca.crt": authority.pem}})
            yield found


@pytest.fixture(scope="module")
def kept(
    node: RunningCluster, operator: str, kube: Kube, company: Company, model_deployment: Callable[..., Object]
) -> KeptData:
    """Create the deployment, which the vault denies the key, because its role is for another ServiceAccount."""
    assert isinstance(node, NativeCluster)
    since = time.time()
    company.accounts[ROLE] = "somebody-else"
    # A version policy of the object changes the configuration, so `prepare` writes it again.
    models = [{"name": model, "versionPolicy": {"latest": {"count": 1}}} for model in MODELS]
    vault = {
        "address": company.vault.address,
        "role": ROLE,
        "key": "models",
        "caConfigMapRef": {"name": "company-ca"},
        "egress": {"to": [{"ipBlock": {"cidr": f"{outside_address(company)}/32"}}]},
    }
    body = model_deployment(
        NAME,
        modelRepository={"pvc": {"claimName": "vault", "path": "/wrapped"}},
        models=models,
        privacy={"profile": "Private"},
        decryption={"vault": vault, "memory": "64Mi"},
    )
    body["spec"]["resources"]["limits"] = {"memory": "1Gi"}
    kube.apply(body)
    return KeptData(node, kube, operator, NAME, since)


def outside_address(company: Company) -> str:
    return company.vault.address.removeprefix("https://").partition(":")[0]


def test_a_service_account_without_the_role_is_denied(kube: Kube, company: Company, kept: KeptData) -> None:
    """The API server confirms the token: it is valid for the vault only, and that of another account."""
    refused = kube.wait_reason(NAME, "VaultDenied", seconds=300)
    assert f'{company.vault.address} denies the login with the role "{ROLE}" at auth/kubernetes' in refused["message"]
    review = company.reviews[-1]
    assert (review["authenticated"], review["audiences"]) == (True, [AUDIENCE])
    assert review["user"]["username"] == f"system:serviceaccount:{kube.namespace}:{NAME}"
    assert company.vault.issued == []


def test_a_pod_that_is_killed_while_it_decrypts_leaves_no_plaintext(
    kube: Kube, company: Company, kept: KeptData
) -> None:
    """The vault is sealed after the first model. `prepare` is stopped for the search, then killed, and succeeds."""
    company.vault.answer = lambda _: failed(503, "Vault is sealed")  # A new pod waits until the earlier one has ended.
    kube.run("delete", "pods", "-l", PODS, QUICKLY)
    company.accounts[ROLE] = NAME
    reached = company.hold_second_key()
    assert reached.wait(180)
    (process,) = kept.pod_programs(b"triton_operator.prepare")
    assert kept.core_limits(b"triton_operator.prepare") == {str(NO_CORE_DUMPS)}
    os.kill(process, signal.SIGSTOP)
    in_memory = {Path(place).name for place in places_with([CANARY], kept, [POD_FILES])}
    assert in_memory == {"config.pbtxt", "labels.txt", "model.pt"}
    assert_only_planted(kept)
    os.kill(process, signal.SIGKILL)
    kube.wait(lambda: not Path(f"/proc/{process}").exists(), "prepare has ended")
    company.vault.answer = lambda _: None
    assert_only_planted(kept)
    kube.wait_ready(NAME)


def test_it_serves_and_neither_the_plaintext_nor_a_key_is_kept(
    node: RunningCluster, kube: Kube, company: Company, kept: KeptData
) -> None:
    """The keys are nowhere on the node, because the vault unwraps them into the memory of `prepare` only."""
    assert_correct(node, kube)
    assert kept.core_limits(b"tritonserver") == {str(NO_CORE_DUMPS)}
    assert company.vault.issued[-1] not in company.vault.tokens  # It has been revoked.
    (pod,) = running(kube)
    mounts = {
        each["name"]: [mount["mountPath"] for mount in each["volumeMounts"]]
        for each in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    }
    assert [name for name, paths in mounts.items() if VAULT_DIR in paths] == ["prepare"]
    assert_only_planted(kept)
    sought = [form for keyset in company.keysets for form in key_forms(keyset)]
    sought += [token.encode() for token in company.vault.issued]
    for kind in (*ON_DISKS, PROCESSES):
        assert places_with([KEPT[kind]], kept, [kind]) != set(), kind
    assert places_with(sought, kept, [*ON_DISKS, PROCESSES]) == set()


def test_its_pods_reach_what_the_control_vault_egress_says(kube: Kube, company: Company, kept: KeptData) -> None:
    """It promises that every container can connect to the peers on the vault's port, and no policy opens more.

    Triton therefore reaches the vault, for which it has no token; not another port of the same host, the node or the
    API server, unless another policy opens them.
    """
    body = kube.wait_ready(NAME)
    controls = {each["name"]: each for each in body["status"]["privacy"]["controls"]}
    address = outside_address(company)
    assert controls["VaultEgress"]["state"] == "Enforced"
    assert controls["VaultEgress"]["message"] == (
        f"all containers of the pods, not only prepare, can connect to the vault {company.vault.address} at "
        f"{address}/32 on port {VAULT_PORT}; only prepare has a token for the vault"
    )
    (pod,) = running(kube)
    name = pod["metadata"]["name"]
    api = (kube.beside("default").get("service", "kubernetes") or {})["spec"]["clusterIP"]
    others = [
        *(Attempt(protocol, address, PORT) for protocol in ("tcp", "udp")),
        Attempt("icmp", address),
        Attempt("tcp", NODE_ADDRESS, 10250),
        Attempt("tcp", api, 443),
    ]
    vault = Attempt("tcp", address, VAULT_PORT)
    errors = answered(kube, name, [vault, *others], container="triton")
    assert errors.pop(vault) == ""
    assert [each for each, error in errors.items() if not error] == []
    kube.apply(open_egress(NAME))
    kube.wait(lambda: not any(answered(kube, name, others, container="triton").values()), "its egress is open")
    kube.delete("networkpolicy", "opening")


def test_the_key_of_a_secret_is_only_in_the_secret(
    node: RunningCluster, kube: Kube, company: Company, kept: KeptData
) -> None:
    """The search finds it there: in the object, in the storage of the API server, and in the volume of `prepare`."""
    content = company.keysets[0]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "model-keys"}}
    kube.run("create", "-f", "-", stdin=json.dumps(secret | {"stringData": {"keyset.json": content}}))
    change = {
        "modelRepository": {"pvc": {"path": "/keyed"}},
        "decryption": {"vault": None, "secretRef": {"name": "model-keys"}},
    }
    kube.patch("modeldeployment", NAME, {"spec": change})
    kube.wait_ready(NAME)
    kube.wait(lambda: len(running(kube)) == 1, "the earlier pod is being deleted")
    (pod,) = running(kube)
    kube.run("delete", "pods", "-l", PODS, f"--field-selector=metadata.name!={pod['metadata']['name']}", QUICKLY)
    assert_correct(node, kube)
    vault_keys = [form for keyset in company.keysets[1:] for form in key_forms(keyset)]
    found: dict[str, set[str]] = {kind: set() for kind in KEPT}
    for kind, word in KEPT.items():
        texts = list(kept.kinds()[kind]())
        assert any(word in text for _, text in texts), kind
        assert kind != OBJECTS or any("/sh.helm.release" in place and CHART_WORD in text for place, text in texts)
        found[kind] = {place for place, text in texts if any(form in text for form in key_forms(content))}
        assert [place for place, text in texts if any(form in text for form in vault_keys)] == [], kind
    assert found.pop(OBJECTS) == {f"secrets {kube.namespace}/model-keys"}
    in_nodes = found.pop(NODE_FILES)
    assert any(ETCD in place for place in in_nodes)
    assert any(KEY_VOLUME in place for place in in_nodes)
    assert [place for place in in_nodes if ETCD not in place and KEY_VOLUME not in place] == []
    assert {kind: places for kind, places in found.items() if places} == {}
    on_disks = places_with(key_forms(content), replace(kept, memory=False), [NODE_FILES])
    assert [place for place in on_disks if ETCD not in place] == []


def test_nothing_is_left_after_an_eviction_and_after_the_deletion(kube: Kube, kept: KeptData) -> None:
    (pod,) = running(kube)
    metadata = {"name": pod["metadata"]["name"], "namespace": kube.namespace}
    path = f"/api/v1/namespaces/{kube.namespace}/pods/{metadata['name']}/eviction"
    options = {"gracePeriodSeconds": 5}  # Otherwise, it waits for requests for half a minute.
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
    kube.run("create", "--raw", path, "-f", "-", stdin=json.dumps(body), namespaced=False)
    assert_only_planted(kept)  # While it ends.
    kube.run("wait", f"pod/{metadata['name']}", "--for=delete", "--timeout=120s")
    kube.delete("modeldeployment", NAME)
    kube.wait(lambda: is_gone(kube), "no ReplicaSet is left that creates pods, which decrypt the models again")
    assert_only_planted(kept)
    assert places_with([CANARY], kept, ON_DISKS) == set()  # Not in memory either.


def assert_correct(node: RunningCluster, kube: Kube) -> None:
    """The predictions are those of the model's card, which were made in the clear."""
    with serve(node, kube, NAME) as served, served.http() as http, served.grpc() as grpc:
        report = verify("digits", http, grpc)
    assert report.passed, report.lines()


def assert_only_planted(kept: KeptData) -> None:
    """Plant the canary in each folder that the node writes; the search finds it there and nowhere else."""
    planted = [folder / f"planted-{number}-{os.getpid()}" for number, folder in enumerate(kept.disk_folders())]
    try:
        for file in planted:
            file.write_bytes(CANARY)
        found = places_with([CANARY], replace(kept, memory=False), ON_DISKS)
    finally:
        for file in planted:
            file.unlink(missing_ok=True)
    assert sorted({Path(place).name for place in found}) == [file.name for file in planted], found


def places_with(words: Sequence[bytes], kept: KeptData, kinds: Iterable[str]) -> set[str]:
    """The places of these kinds whose text contains one of the words."""
    return {place for kind in kinds for place, text in kept.kinds()[kind]() if any(word in text for word in words)}


def is_gone(kube: Kube) -> bool:
    """Delete the pods, with those that a ReplicaSet has created since; whether neither is left."""
    kube.run("delete", "pods", "-l", PODS, QUICKLY)
    return not kube.list("replicasets,pods", PODS)


def running(kube: Kube) -> list[Object]:
    """The pods that are not being deleted."""
    return [pod for pod in kube.list("pods", PODS) if not pod["metadata"].get("deletionTimestamp")]
