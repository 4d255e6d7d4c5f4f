"""Models from an image, a claim and a bucket in the same pod, and sources that cannot be used."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http

from hack.cluster.handle import RunningCluster
from hack.cluster.native.layout import NODE_ADDRESS
from hack.cluster.native.node import NativeCluster
from hack.cluster.pki import CertificateSubject, ClusterAuthority
from hack.images import pack
from tests.kube import Kube, Object
from tests.programs import build_before_tests
from tests.s3_server import ACCESS_KEY, BUCKET, S3, SECRET_KEY, s3_server
from tests.served import serve
from tests.signers import Signer
from tests.volumes import claim_manifest, volume_manifest
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import Keyset, create_keyset, read_keyset

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "digits": ROOT / "model_repository" / "digits",
    "linear_regression": ROOT / "model_repository" / "linear_regression",
    "echo": ROOT / "tests" / "models" / "echo",
}
OPEN = {"profile": "Open"}
DECRYPTED: Object = {
    "decryption": {"secretRef": {"name": "private-keys"}, "memory": "64Mi"},
    "resources": {"limits": {"memory": "2Gi"}},
}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the S3 server if it is missing."""
    build_before_tests(session, Path(__file__).parent, "versitygw")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> ClusterAuthority:
    """Create the authority that signs the S3 server's certificate."""
    return ClusterAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def s3(node: RunningCluster, tmp_path_factory: pytest.TempPathFactory, authority: ClusterAuthority) -> Iterator[S3]:
    """Start a server in the node's network, which pods reach at the node's address."""
    if not isinstance(node, NativeCluster):
        pytest.skip("only the native node has a network that a test can put a server into")
    authority.issue("s3", CertificateSubject("s3", addresses=[NODE_ADDRESS]))
    folder = tmp_path_factory.mktemp("s3") / "data"
    for model, source in FOLDERS.items():
        shutil.copytree(source, folder / BUCKET / "team-a" / model)
    inside = ("nsenter", "--target", str(node.record.supervisor), "--net", "--")
    certificate = authority.folder / "s3.crt"
    with s3_server(folder, certificate, port=9443, address=NODE_ADDRESS, inside=inside) as server:
        yield server


@pytest.fixture(scope="module")
def bucket(kube: Kube, s3: S3, authority: ClusterAuthority) -> Object:
    """Create the Secret and the ConfigMap of the bucket; return the bucket as a model repository."""
    secret = {"stringData": {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY}}
    kube.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "reader"}} | secret,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stranger"}}
        | {"stringData": {"accessKeyId": ACCESS_KEY, "secretAccessKey": "wrong"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "company-ca"}}
        | {"data": {"ca.crt": authority.certificate.read_text()}},
    )
    return {
        "s3": {"bucket": BUCKET, "prefix": "team-a", "endpoint": s3.endpoint},
        "credentialsSecretRef": {"name": "reader"},
        "caBundleConfigMapRef": {"name": "company-ca"},
    }


@pytest.fixture(scope="module")
def volume(node: RunningCluster, kube: Kube) -> Iterator[Object]:
    """Create a claim with the models; return it as a model repository."""
    assert node.host_path
    for model, source in FOLDERS.items():
        shutil.copytree(source, node.host_path / "sources" / model, dirs_exist_ok=True)
    manifest = volume_manifest("sources", kube.namespace, f"{node.node_path}/sources")
    kube.apply(claim_manifest("sources"), manifest)
    yield {"pvc": {"claimName": "sources"}}
    kube.delete("persistentvolume", manifest["metadata"]["name"], wait=False)
    shutil.rmtree(node.host_path / "sources")


def test_three_models_from_three_sources_in_each_of_two_deployments(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object], bucket: Object, volume: Object
) -> None:
    """One pod has one model from each source; another pod has the same models from other sources."""
    image = model_deployment("digits")["spec"]["modelRepository"]
    sources: dict[str, list[Any]] = {"mixed": [image, bucket, volume], "turned": [bucket, volume, bucket]}
    for name, (digits, linear, echo) in sources.items():
        models = [
            {"name": "digits", "modelRepository": digits},
            {"name": "linear_regression", "modelRepository": linear},
            {"name": "echo", "modelRepository": echo},
        ]
        kube.apply(model_deployment(name, modelRepository=None, models=models, privacy=OPEN))
    for name in sources:
        body = kube.wait_ready(name, 240)
        assert {model["name"]: model["state"] for model in body["status"]["models"]} == dict.fromkeys(FOLDERS, "Ready")
        with serve(node, kube, name) as served, served.http() as client:
            _ask_all(client)


def test_a_source_that_refuses_or_is_not_trusted(
    kube: Kube, model_deployment: Callable[..., Object], bucket: Object, s3: S3
) -> None:
    """A container of the pod reports each error, and the message contains neither the key nor the secret."""
    cases = {
        "AccessDenied": bucket | {"credentialsSecretRef": {"name": "stranger"}},
        "SourceUntrusted": {key: value for key, value in bucket.items() if key != "caBundleConfigMapRef"},
        "SourceNotFound": bucket | {"s3": bucket["s3"] | {"bucket": "nothing"}},
    }
    for reason, repository in cases.items():
        name = f"bad-{reason.lower()}"
        body = model_deployment(name, modelRepository=repository, models=[{"name": "digits"}], privacy=OPEN)
        kube.apply(body)
        condition = kube.wait_reason(name, reason, seconds=300)
        assert s3.endpoint in condition["message"]
        assert ACCESS_KEY not in condition["message"]
        assert SECRET_KEY not in condition["message"]
        kube.delete("modeldeployment", name, wait=False)


def test_signed_models_are_served_from_a_claim_and_a_bucket_until_they_are_changed(
    node: RunningCluster,
    kube: Kube,
    model_deployment: Callable[..., Object],
    bucket: Object,
    volume: Object,
    s3: S3,
    tmp_path: Path,
) -> None:
    """The signatures are made where the models are released. A pod that starts after a change refuses the model."""
    signer = Signer(tmp_path)
    claimed = signer.sign(_host_path(node) / "sources" / "digits")
    stored = signer.sign(s3.folder / BUCKET / "team-a" / "linear_regression")
    models = [
        {"name": "digits", "modelRepository": volume},
        {"name": "linear_regression", "modelRepository": bucket},
    ]
    verification = {"keys": [{"name": "release", "publicKey": signer.public_key}]}
    kube.apply(model_deployment("signed", modelRepository=None, models=models, privacy=OPEN, verification=verification))
    body = kube.wait_ready("signed", 240)
    assert {model["name"]: model["signedBy"] for model in body["status"]["models"]} == {
        "digits": "release",
        "linear_regression": "release",
    }
    with serve(node, kube, "signed") as served, served.http() as client:
        picture = _input("INPUT__0", np.zeros((1, 1, 28, 28), np.float32), "FP32")
        assert client.infer("digits", [picture]).as_numpy("OUTPUT__0").shape == (1, 10)
    for folder in (claimed, stored):
        original = (folder / "config.pbtxt").read_bytes()
        (folder / "config.pbtxt").write_bytes(original + b"\n")
        kube.run("delete", "pods", "-l", "triton-operator.io/model-deployment=signed", "--wait=false")
        sentence = f"model {folder.name}: config.pbtxt is not the file that was signed"
        kube.wait_reason("signed", "SignedFileChanged", message=sentence, seconds=300)
        (folder / "config.pbtxt").write_bytes(original)
    kube.delete("modeldeployment", "signed", wait=False)


def test_an_encrypted_and_signed_model_is_served_from_memory(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object], volume: Object, tmp_path: Path
) -> None:
    """The answers are those of the model in the clear; without the key, and with a wrong one, nothing is served."""
    signer, keyset = Signer(tmp_path), tmp_path / "keyset.json"
    create_keyset(keyset)
    encrypted = _host_path(node) / "sources" / "secret" / "linear_regression"
    encrypted.parent.mkdir()
    encrypt_model(FOLDERS["linear_regression"], encrypted, read_keyset(keyset.read_bytes(), "keyset"))
    signer.sign(encrypted)
    create_keyset(tmp_path / "wrong.json")
    spec = {
        "modelRepository": {"pvc": volume["pvc"] | {"path": "/secret"}},
        "privacy": OPEN,
        "verification": {"keys": [{"name": "release", "publicKey": signer.public_key}]},
        "resources": {"limits": {"memory": "1Gi"}},
    }
    body = model_deployment("linear_regression", **spec)
    body["metadata"]["name"] = name = "secret"
    kube.apply(body)
    kube.wait_reason(name, "DecryptionKeyMissing", seconds=300)
    for secret, file in (("wrong-keys", "wrong.json"), ("model-keys", "keyset.json")):
        content = {"keyset.json": (tmp_path / file).read_text()}
        kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": content})
    decryption = {"secretRef": {"name": "wrong-keys"}, "memory": "16Mi"}
    kube.patch("modeldeployment", name, {"spec": {"decryption": decryption}})
    kube.wait_reason(name, "DecryptionFailed", seconds=300)
    kube.patch("modeldeployment", name, {"spec": {"decryption": {"secretRef": {"name": "model-keys"}}}})
    status = kube.wait_ready(name, 180)["status"]
    assert [model["signedBy"] for model in status["models"]] == ["release"]
    with serve(node, kube, name) as served, served.http() as client:
        numbers = _input("INPUT__0", np.array([[9, 10]], np.float32), "FP32")
        assert client.infer("linear_regression", [numbers]).as_numpy("OUTPUT__0")[0] == pytest.approx(5, abs=0.2)
    pods = kube.list("pods", f"triton-operator.io/model-deployment={name}")
    (pod,) = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    read = ["python3", "-c", "print(open('/proc/mounts').read())"]
    mounted = kube.run("exec", pod["metadata"]["name"], "-c", "triton", "--", *read)
    assert re.search(r"^tmpfs /plaintext tmpfs ro\b", mounted, re.MULTILINE)
    secret_text = kube.run("get", "configmaps,events,pods,controllerrevisions,deployments", "-o", "yaml")
    key = json.loads(keyset.read_text())["key"][0]["keyData"]["value"]
    assert key not in secret_text
    kube.delete("modeldeployment", name, wait=False)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Create the key of the release."""
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def private(
    node: RunningCluster,
    kube: Kube,
    bucket: Object,
    volume: Object,
    s3: S3,
    signer: Signer,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Callable[[str], Object]]:
    """Encrypted and signed models in a claim, a bucket and an image; return them as model repositories, by their path.

    `models` has both of the compared models. In `signed` and `encrypted`, a byte of one model was changed afterwards.
    """
    keyset, image = tmp_path_factory.mktemp("keys") / "keyset.json", tmp_path_factory.mktemp("image")
    create_keyset(keyset)
    keys = read_keyset(keyset.read_bytes(), "keyset")
    folders = {"image": image, "bucket": s3.folder / BUCKET, "claim": _host_path(node) / "sources"}
    for folder in folders.values():
        for model in COMPARED:
            encrypt_model(ROOT / "model_repository" / model, folder / "private" / "models" / model, keys)
            signer.sign(folder / "private" / "models" / model)
        _add_changed_models(folder / "private", keys, signer)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "private-keys"}}
    kube.apply(secret | {"stringData": {"keyset.json": keyset.read_text()}})
    packed = pack("private-models", image)
    node.load_images([packed])
    return {
        "image": lambda path: {"image": {"reference": packed.reference, "path": f"/private/{path}"}},
        "bucket": lambda path: bucket | {"s3": bucket["s3"] | {"prefix": f"private/{path}"}},
        "claim": lambda path: {"pvc": volume["pvc"] | {"path": f"/private/{path}"}},
    }


def _add_changed_models(folder: Path, keys: Keyset, signer: Signer) -> None:
    """Change one byte in the middle of a file, whose size stays the same."""
    model = FOLDERS["linear_regression"]
    shutil.copytree(model, folder / "signed" / model.name)
    signer.sign(folder / "signed" / model.name)
    encrypt_model(model, folder / "encrypted" / model.name, keys)
    for file in ("signed/linear_regression/1/model.pt", "encrypted/linear_regression/1/model.pt.enc"):
        content = bytearray((folder / file).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / file).write_bytes(content)


def test_encrypted_models_from_each_source_answer_as_in_the_clear(
    node: RunningCluster,
    kube: Kube,
    model_deployment: Callable[..., Object],
    private: dict[str, Callable[[str], Object]],
    signer: Signer,
) -> None:
    """Each of two models comes from each source once, encrypted and signed; the answers differ by at most 1e-5."""
    claimed, stored, packed = (private[name]("models") for name in ("claim", "bucket", "image"))
    spec = DECRYPTED | {"modelRepository": None, "verification": _trust(signer)}
    deployments: dict[str, Object] = {
        "clear": {"models": [{"name": model} for model in COMPARED]},
        "claimed-first": spec | {"models": _models_from(claimed, stored)},
        "stored-first": spec | {"models": _models_from(stored, packed)},
        "packed-first": spec | {"models": _models_from(packed, claimed)},
    }
    answers: dict[str, list[Any]] = {}
    for name, each in deployments.items():
        kube.apply(model_deployment(name, privacy=OPEN, **each))
        kube.wait_ready(name, 240)
        with serve(node, kube, name) as served, served.http() as client:
            answers[name] = [client.infer(model, inputs).as_numpy("OUTPUT__0") for model, inputs in COMPARED.items()]
        kube.delete("modeldeployment", name, wait=False)
    for name in deployments:
        for answer, expected in zip(answers[name], answers["clear"], strict=True):
            np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5)


def test_a_model_with_one_changed_byte_is_never_loaded(
    kube: Kube,
    model_deployment: Callable[..., Object],
    private: dict[str, Callable[[str], Object]],
    signer: Signer,
) -> None:
    """Of a signed and of an encrypted model, from each source; the unchanged ones are loaded above."""
    models = [{"name": "linear_regression"}]
    specs: dict[str, Object] = {"signed": {"verification": _trust(signer)}, "encrypted": DECRYPTED}
    names = {f"{kind}-{source}": (kind, source) for kind in specs for source in private}
    for name, (kind, source) in names.items():
        repository = private[source](kind)
        body = model_deployment(name, modelRepository=repository, models=models, privacy=OPEN, **specs[kind])
        kube.apply(body)
    expected = {
        "signed": ("SignedFileChanged", "model linear_regression: 1/model.pt is not the file that was signed"),
        "encrypted": (
            "DecryptionFailed",
            "model linear_regression: 1/model.pt.enc was changed, truncated",
        ),
    }
    for name, (kind, _) in names.items():
        reason, words = expected[kind]
        assert words in kube.wait_reason(name, reason, seconds=300)["message"]
        (pod,) = kube.list("pods", f"triton-operator.io/model-deployment={name}")
        (triton,) = pod["status"]["containerStatuses"]
        assert (triton["started"], triton["restartCount"]) == (False, 0)
        assert triton["state"]["waiting"]["reason"] == "PodInitializing"
        kube.delete("modeldeployment", name, wait=False)


def _trust(signer: Signer) -> Object:
    return {"keys": [{"name": "release", "publicKey": signer.public_key}]}


def _models_from(*repositories: Object) -> list[Object]:
    """Each of the compared models from one of the repositories."""
    pairs = zip(COMPARED, repositories, strict=True)
    return [{"name": model, "modelRepository": repository} for model, repository in pairs]


def _host_path(node: RunningCluster) -> Path:
    assert node.host_path
    return node.host_path


def _ask_all(client: Any) -> None:
    """Send one request to each model."""
    picture = _input("INPUT__0", np.zeros((1, 1, 28, 28), np.float32), "FP32")
    assert client.infer("digits", [picture]).as_numpy("OUTPUT__0").shape == (1, 10)
    numbers = _input("INPUT__0", np.array([[9, 10]], np.float32), "FP32")
    assert client.infer("linear_regression", [numbers]).as_numpy("OUTPUT__0")[0] == pytest.approx(5, abs=0.2)
    texts = _input("INPUT__0", np.array([b"hello"], np.object_), "BYTES")
    flags = _input("INPUT__1", np.array([True]), "BOOL")
    assert client.infer("echo", [texts, flags]).as_numpy("OUTPUT__0")[0] == b"hello"


def _input(name: str, data: Any, kind: str) -> Any:
    tensor = tritonclient.http.InferInput(name, list(data.shape), kind)
    tensor.set_data_from_numpy(data)
    return tensor


_DRAWN = np.random.default_rng(0)
COMPARED = {
    "digits": [_input("INPUT__0", _DRAWN.random((4, 1, 28, 28), dtype=np.float32), "FP32")],
    "bert_texts_model": [
        _input("INPUT__0", _DRAWN.integers(1, 100, (4, 32)), "INT64"),
        _input("INPUT__1", np.ones((4, 32), np.int64), "INT64"),
    ],
}
"""Requests to models that are served in the clear and encrypted."""
