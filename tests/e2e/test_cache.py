"""A Job fetches models from a web server into a claim once, and pods without network access serve them.

The server's certificate is signed by an authority that only a ConfigMap contains. The Job's policy first blocks the
connection, and permits it after the address is named, which shows that the policy is enforced. The model is encrypted,
and its ciphertext is signed.
"""

from __future__ import annotations

import base64
import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.pki import CertificateSubject, ClusterAuthority
from hack.images.builder import BuiltImage
from tests.kube import Kube, Object
from tests.network_attempts import reaches
from tests.signers import Signer
from tests.volumes import volume_manifest
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset

NAME = "linear-regression"
SELECTOR = f"triton-operator.io/model-deployment={NAME},app.kubernetes.io/component=server"
REPOSITORY = Path(__file__).parents[2] / "model_repository"
STORAGE = "by-hand"
"""A storage class that does not exist, because the test creates the volumes."""
PORT = 8443
SERVE = f"""
import functools, http.server, ssl
files = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/archive")
server = http.server.ThreadingHTTPServer(("", {PORT}), files)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def volumes(node: RunningCluster, kube: Kube) -> Iterator[None]:
    """Create two volumes with access mode ReadWriteOnce."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    names = []
    for number in (1, 2):
        folder = node.host_path / f"cache-{number}"
        folder.mkdir()
        folder.chmod(0o777)  # The kubelet does not change the owner of hostPath volumes.
        volume = volume_manifest(STORAGE, kube.namespace, f"{node.node_path}/{folder.name}", modes=["ReadWriteOnce"])
        volume["metadata"]["name"] += f"-{number}"
        kube.apply(volume)
        names.append(volume["metadata"]["name"])
    yield
    for number, name in enumerate(names, 1):
        kube.delete("persistentvolume", name, wait=False)
        shutil.rmtree(node.host_path / f"cache-{number}")


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """Create the key that signs the model in the archive."""
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def keyset(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Create the keyset that encrypts the model in the archive, and the Secret with it."""
    file = tmp_path_factory.mktemp("keyset") / "keyset.json"
    create_keyset(file)
    kube.apply(_named("Secret", "model-keys", stringData={"keyset.json": file.read_text()}))
    return file.read_bytes()


def verification(signer: Signer) -> Object:
    return {"keys": [{"name": "release", "publicKey": signer.public_key}]}


@pytest.fixture(scope="module")
def archive(
    kube: Kube, images: dict[str, BuiltImage], signer: Signer, keyset: bytes, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Start a web server in the cluster at https://archive.<namespace>.svc; return its pod's address."""
    folder = tmp_path_factory.mktemp("authority")
    authority = ClusterAuthority(folder)
    authority.issue("server", CertificateSubject("archive", hosts=[f"archive.{kube.namespace}.svc"]))
    key = {f"tls.{end}": _base64((folder / f"server.{end}").read_bytes()) for end in ("crt", "key")}
    kube.apply(
        _named("Secret", "archive-key", data=key),
        _named("ConfigMap", "archive-authority", data={"ca.crt": authority.certificate.read_text()}),
        _named("ConfigMap", "archive", binaryData={"models.tar.gz": _base64(_archive(folder, signer, keyset))}),
        _named(
            "Service", "archive", spec={"selector": {"app": "archive"}, "ports": [{"port": 443, "targetPort": PORT}]}
        ),
        _server(images["operator"].reference),
    )
    kube.run("wait", "pod/archive", "--for=condition=Ready", "--timeout=300s")
    pod = kube.get("pod", "archive")
    assert pod
    return str(pod["status"]["podIP"])


def test_a_job_reaches_only_what_is_named_and_pods_serve_what_it_fetched(
    kube: Kube, volumes: None, archive: str, model_deployment: Callable[..., Object], signer: Signer, tmp_path: Path
) -> None:
    """The Job also verifies the signature, and so does each pod."""
    elsewhere = {"cidrs": ["192.0.2.0/24"], "ports": [PORT]}
    repository = {
        "http": {"url": f"https://archive.{kube.namespace}.svc/models.tar.gz"},
        "caBundleConfigMapRef": {"name": "archive-authority"},
    }
    cache = {"size": "1Gi", "storageClassName": STORAGE, "egress": elsewhere}
    stranger = verification(Signer(tmp_path, 2))
    spec = {
        "modelRepository": repository,
        "cache": cache,
        "verification": stranger,
        "decryption": {"secretRef": {"name": "model-keys"}, "memory": "16Mi"},
        "resources": {"limits": {"memory": "1Gi"}},
    }
    kube.apply(model_deployment("linear_regression", **spec))
    condition = kube.wait_reason(NAME, "SourceUnreachable", seconds=300)
    assert "archive" in condition["message"]
    assert kube.get("deployment", NAME) is None, "no pod is made before there is something to serve"
    named = {"cidrs": [f"{archive}/32"], "ports": [PORT]}
    kube.patch("modeldeployment", NAME, {"spec": {"cache": {"egress": named}}})
    kube.wait_reason(NAME, "SignerUnknown", seconds=300)
    assert kube.get("deployment", NAME) is None
    kube.patch("modeldeployment", NAME, {"spec": {"verification": verification(signer)}})
    body = kube.wait_ready(NAME, 180)
    assert [model["signedBy"] for model in body["status"]["models"]] == ["release"]
    assert body["status"]["cache"]["state"] == "Filled"
    (claim,) = kube.list("persistentvolumeclaim")
    assert claim["metadata"]["name"] == body["status"]["cache"]["claimName"]
    assert claim["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
    serving = _serving(kube)
    assert not reaches(kube, serving["metadata"]["name"], archive, [PORT], container="triton")
    kube.wait(lambda: not kube.list("job"), "the Job is gone, having done its work")


def test_another_content_is_fetched_next_to_the_old_one(kube: Kube, archive: str) -> None:
    before = _claims(_serving(kube))
    kube.patch("modeldeployment", NAME, {"spec": {"cache": {"size": "512Mi"}}})
    kube.wait(lambda: len(kube.list("persistentvolumeclaim")) == len(before) + 1, "a second claim is there")
    assert _claims(_serving(kube)) == before
    kube.wait_ready(NAME, 180)
    after = {body["metadata"]["name"] for body in kube.list("persistentvolumeclaim")}
    assert after > before, "the old one is kept for a rollback"
    assert _claims(_serving(kube)) == after - before


def test_a_cached_model_that_somebody_changes_is_never_loaded(node: RunningCluster, kube: Kube) -> None:
    """The new content comes from the claim, which holds ciphertext only: the Job that verified it is gone.

    The signature detects the change; without a signature, the decryption does.
    """
    assert node.host_path
    serving = _serving(kube)["metadata"]["name"]
    models = list(node.host_path.glob("cache-*/**/linear_regression/1/model.pt*"))
    assert models
    assert {model.name for model in models} == {"model.pt.enc"}
    for model in models:
        model.write_bytes(model.read_bytes() + b"\n")
    kube.run("delete", "pod", serving, "--wait=false")
    sentence = "model linear_regression: 1/model.pt.enc is not the file that was signed"
    kube.wait_reason(NAME, "SignedFileChanged", message=sentence, seconds=300)
    pod = _serving(kube)
    assert pod["metadata"]["name"] != serving
    _assert_never_started(pod)
    kube.patch("modeldeployment", NAME, {"spec": {"verification": None}})
    kube.wait_reason(NAME, "DecryptionFailed", message="1/model.pt", seconds=300)
    for pod in _servers(kube):
        _assert_never_started(pod)


def _assert_never_started(pod: Object) -> None:
    (triton,) = pod["status"]["containerStatuses"]
    assert (triton["started"], triton["restartCount"]) == (False, 0)


def _servers(kube: Kube) -> list[Object]:
    """Return the server pods that are not being deleted."""
    return [pod for pod in kube.list("pods", SELECTOR) if "deletionTimestamp" not in pod["metadata"]]


def _serving(kube: Kube) -> Object:
    """Return the only server pod that is not being deleted."""
    (pod,) = _servers(kube)
    return pod


def _claims(pod: Object) -> set[str]:
    volumes = pod["spec"]["volumes"]
    return {each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each}


def _archive(folder: Path, signer: Signer, keyset: bytes) -> bytes:
    """Build an archive of a repository with one encrypted and signed model."""
    model = folder / "linear_regression"
    encrypt_model(REPOSITORY / model.name, model, read_keyset(keyset, "keyset"))
    signer.sign(model)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(model, model.name)
    return content.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _named(kind: str, name: str, **content: object) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}


def _server(image: str) -> Object:
    """Return the web server's pod; it uses the operator's image, which contains Python."""
    container = {
        "name": "server",
        "image": image,
        "command": ["python3", "-c", SERVE],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "archive", "mountPath": "/archive"}, {"name": "tls", "mountPath": "/tls"}],
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "archive", "configMap": {"name": "archive"}},
            {"name": "tls", "secret": {"secretName": "archive-key"}},
        ],
    }
    pod = _named("Pod", "archive", spec=spec)
    pod["metadata"]["labels"] = {"app": "archive"}
    return pod
