"""A deployment with the profile AirGapped on a node without DNS: it is deployed, serves, scales and is updated.

The only server for nodes without a GPU has release 24.10. Its image is declared as a newer release here, so that the
operator accepts it, and a wrapper leaves out the flag that only newer releases have.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hack.cluster.handle import RunningCluster
from hack.cluster.native.images import by_digest
from hack.cluster.native.node import NativeCluster
from hack.images import pack
from hack.images.builder import BuiltImage, build_image
from hack.images.catalogue import Definition, triton_cpu
from hack.images.contexts import Folder
from hack.install import install_operator
from tests.e2e.test_network_policy import open_egress
from tests.kube import Kube, KubectlError, Object
from tests.network_attempts import PORT, Attempt, answered, answering_pod
from tests.served import serve
from tests.signers import Signer
from training import REPOSITORY
from training.verify import verify

NAME = "digits"
RELEASE = "26.11"
PODS = f"triton-operator.io/model-deployment={NAME}"
WRAPPER = """#!/bin/sh
for flag in "$@"; do
    shift
    case "$flag" in --allow-client-shm=*) ;; *) set -- "$@" "$flag" ;; esac
done
exec /opt/tritonserver/bin/tritonserver "$@"
"""
WRAPPED = """
ENV PATH=/opt/wrapper:/opt/tritonserver/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=wrapper tritonserver /opt/wrapper/tritonserver
"""


class AirGap(NamedTuple):
    """References by digest: the server, and two versions of a signed model; and the public key of their signer."""

    server: str
    models: tuple[str, str]
    public_key: str


@pytest.fixture(scope="module")
def air_gap(node: RunningCluster, images: dict[str, BuiltImage], tmp_path_factory: pytest.TempPathFactory) -> AirGap:
    """Build the images and load them onto the node."""
    if not isinstance(node, NativeCluster):
        pytest.skip("images by digest can be loaded onto the native node only")
    folder = tmp_path_factory.mktemp("air-gap")
    signer = Signer(folder)
    models = [signed_models(folder / str(number), signer, f"# Version {number}.\n") for number in (1, 2)]
    server = newer_server(folder / "server")
    node.load_images([server, *models])
    first, second = (by_digest(image.reference, image.digest) for image in models)
    return AirGap(by_digest(server.reference, server.digest), (first, second), signer.public_key)


def signed_models(folder: Path, signer: Signer, comment: str) -> BuiltImage:
    """A model container with one signed model."""
    model = folder / NAME
    (model / "1").mkdir(parents=True)
    shutil.copyfile(REPOSITORY / NAME / "1" / "model.pt", model / "1" / "model.pt")
    (model / "config.pbtxt").write_text(comment + (REPOSITORY / NAME / "config.pbtxt").read_text())
    signer.sign(model)
    return pack("signed-models", folder)


def newer_server(folder: Path) -> BuiltImage:
    """The CPU server behind the wrapper."""
    folder.mkdir()
    (folder / "tritonserver").write_text(WRAPPER)
    (folder / "tritonserver").chmod(0o755)
    base = triton_cpu()
    containerfile = folder / "Containerfile"
    containerfile.write_text(base.containerfile.read_text() + WRAPPED)
    contexts = {**base.contexts, "wrapper": Folder(folder)}
    return build_image(Definition("newer-triton", containerfile, base.main, contexts))


@pytest.fixture(scope="module")
def installed(node: RunningCluster, images: dict[str, BuiltImage], operator: str) -> Iterator[None]:
    """The operator by digest; other modules use it by tag."""
    install_operator(node, images, by_digest=True)
    yield
    install_operator(node, images)


@pytest.fixture(scope="module")
def without_dns(kube: Kube) -> Iterator[None]:
    """The cluster has no DNS server."""
    system = kube.beside("kube-system")
    system.run("scale", "deployment/coredns", "--replicas=0")
    system.run("wait", "pod", "-l", "k8s-app=kube-dns", "--for=delete", "--timeout=300s")
    yield
    system.run("scale", "deployment/coredns", "--replicas=1")
    system.run("rollout", "status", "deployment/coredns", "--timeout=300s")


@pytest.fixture(scope="module")
def deployment(
    node: RunningCluster,
    kube: Kube,
    model_deployment: Callable[..., Object],
    air_gap: AirGap,
    installed: None,
    without_dns: None,
) -> Iterator[Object]:
    """The deployment, which is ready."""
    body = model_deployment(
        NAME,
        privacy={"profile": "AirGapped"},
        modelRepository={"image": {"reference": air_gap.models[0]}},
        verification={"keys": [{"name": "release", "publicKey": air_gap.public_key}]},
        triton={"image": air_gap.server, "version": RELEASE},
    )
    kube.apply(body)
    yield kube.wait_ready(NAME)
    kube.delete("modeldeployment", NAME)


def test_it_is_deployed_and_serves_without_dns(node: RunningCluster, kube: Kube, deployment: Object) -> None:
    assert deployment["status"]["models"][0]["signedBy"] == "release"
    (pod,) = running(kube)
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    assert [each["name"] for each in containers if "@sha256:" not in each["image"]] == []
    controls = {each["name"]: each["state"] for each in deployment["status"]["privacy"]["controls"]}
    assert {controls[name] for name in ("ModelSources", "ImagesByDigest", "ServerRelease")} == {"Enforced"}
    assert_correct(node, kube)


def assert_correct(node: RunningCluster, kube: Kube) -> None:
    """The predictions over both protocols are those of the model's card."""
    with serve(node, kube, NAME) as served, served.http() as http, served.grpc() as grpc:
        report = verify(NAME, http, grpc)
    assert report.passed, report.lines()


def test_its_pods_reach_nothing_unless_another_policy_opens_them(
    kube: Kube, images: dict[str, BuiltImage], deployment: Object
) -> None:
    kube.apply(answering_pod(images["operator"].reference))
    kube.run("wait", "pod/client", "--for=condition=Ready", "--timeout=300s")
    client = (kube.get("pod", "client") or {})["status"]["podIP"]
    api = (kube.beside("default").get("service", "kubernetes") or {})["spec"]["clusterIP"]
    attempts = [Attempt("tcp", client, PORT), Attempt("udp", client, PORT), Attempt("tcp", api, 443)]
    pod = kube.list("pods", PODS)[0]["metadata"]["name"]
    assert all(answered(kube, pod, attempts, container="triton").values())
    kube.apply(open_egress(NAME))
    kube.wait(lambda: not any(answered(kube, pod, attempts, container="triton").values()), "the pod reaches all")
    kube.delete("networkpolicy", "opening")


def test_it_scales(kube: Kube, deployment: Object) -> None:
    kube.run("scale", f"modeldeployment/{NAME}", "--replicas=2")
    kube.wait_ready(NAME)
    assert len(running(kube)) == 2
    kube.run("scale", f"modeldeployment/{NAME}", "--replicas=1")
    kube.wait_ready(NAME)


def test_an_update_to_other_signed_models_is_served(
    node: RunningCluster, kube: Kube, deployment: Object, air_gap: AirGap
) -> None:
    reference = air_gap.models[1]
    kube.patch("modeldeployment", NAME, {"spec": {"modelRepository": {"image": {"reference": reference}}}})
    kube.wait_ready(NAME)
    (pod,) = running(kube)
    assert [each["image"]["reference"] for each in pod["spec"]["volumes"] if "image" in each] == [reference]
    assert_correct(node, kube)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"modelRepository": {"image": {"reference": "models:1"}}}, "spec.modelRepository.image"),
        ({"verification": None}, "spec.verification.keys"),
    ],
)
def test_the_api_server_rejects_an_update_that_breaks_the_profile(
    change: Object, field: str, kube: Kube, deployment: Object
) -> None:
    with pytest.raises(KubectlError, match=re.escape(field)):
        kube.patch("modeldeployment", NAME, {"spec": change})


def test_an_update_that_the_operator_refuses_disturbs_no_pod(kube: Kube, deployment: Object) -> None:
    """Only the operator knows the vulnerabilities of a release."""
    before = [(pod["metadata"]["uid"], pod["spec"]) for pod in running(kube)]
    kube.patch("modeldeployment", NAME, {"spec": {"triton": {"version": "24.10"}}})
    condition = kube.wait_reason(NAME, "InvalidSpec", kind="Accepted")
    assert "spec.triton.version: must be 26.07 or newer" in condition["message"]
    assert [(pod["metadata"]["uid"], pod["spec"]) for pod in running(kube)] == before
    kube.patch("modeldeployment", NAME, {"spec": {"triton": {"version": RELEASE}}})
    kube.wait_ready(NAME)


def running(kube: Kube) -> list[Object]:
    """The pods that are not being deleted."""
    return [pod for pod in kube.list("pods", PODS) if not pod["metadata"].get("deletionTimestamp")]
