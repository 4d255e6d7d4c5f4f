"""The SDK inside the cluster: a pod deploys a model with its ServiceAccount, waits, sends a request and deletes it.

Another pod is a caller of a private deployment, with the volume that docs/sdk.md describes. The pods run the operator's
image, which has Python and the SDK. The packages that the SDK requires are copied from this machine to a volume. The
pods contain no kubectl and no kubeconfig.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from hack.cluster.handle import RunningCluster
from hack.images.builder import BuiltImage
from tests.kube import Kube, Object
from tests.paths import ROOT
from tests.volumes import claim_manifest, volume_manifest

PACKAGES = ("kubernetes", "numpy", "tritonclient[http]")
PROGRAM = """
import json, os
import numpy as np
from triton_operator.sdk import Client, DeploymentNotFoundError

spec = json.loads(os.environ["SPEC"])
reasons = []
client = Client("digits")
client.deploy(models=spec["models"], model_repository=spec["modelRepository"], resources=spec["resources"])
ready = client.wait_ready(240, lambda found: reasons.append(found.reason))
with client:
    answer = client.infer("digits", {"INPUT__0": np.zeros((1, 1, 28, 28), np.float32)})
client.delete()
try:
    client.status()
    gone = False
except DeploymentNotFoundError:
    gone = True
print(json.dumps({"namespace": ready.namespace, "reasons": reasons, "shape": answer.output.shape, "gone": gone}))
"""
CALL = """
import numpy as np
from triton_operator.sdk import Client, RejectedError

try:
    with Client("digits") as client:
        print(client.infer("digits", {"INPUT__0": np.zeros((1, 1, 28, 28), np.float32)}).output.shape)
except RejectedError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def packages(node: RunningCluster, kube: Kube) -> Iterator[str]:
    """Create a claim for a volume with the packages that the SDK requires."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    folder = node.host_path / "sdk-packages"
    copy_packages(folder)
    volume = volume_manifest("sdk-packages", kube.namespace, f"{node.node_path}/sdk-packages")
    kube.apply(volume, claim_manifest("sdk-packages"))
    yield "sdk-packages"
    kube.delete("persistentvolume", volume["metadata"]["name"], wait=False)
    shutil.rmtree(folder)


def copy_packages(folder: Path) -> None:
    """Copy the packages and their dependencies."""
    for package in needed(*(Requirement(text) for text in PACKAGES)).values():
        for file in package.files or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def needed(*requirements: Requirement) -> dict[str, Distribution]:
    """Return these distributions and their dependencies by name."""
    distributions: dict[str, Distribution] = {}
    open_ = [*requirements]
    while open_:
        requirement = open_.pop()
        if requirement.name in distributions:
            continue
        distributions[requirement.name] = distribution(requirement.name)
        for text in distributions[requirement.name].requires or ():
            each = Requirement(text)
            if each.marker is None or any(
                each.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
            ):
                open_.append(each)
    return distributions


@pytest.fixture
def account(kube: Kube) -> str:
    """Create a ServiceAccount that has permissions for ModelDeployments and their authorities only."""
    rules = [
        {"apiGroups": ["triton-operator.io"], "resources": ["modeldeployments"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["triton-operator-ca"], "verbs": ["get"]},
    ]
    api = "rbac.authorization.k8s.io"
    kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}},
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": {"name": "app"}, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "app"},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "app"},
            "subjects": [{"kind": "ServiceAccount", "name": "app"}],
        },
    )
    return "app"


def test_a_pod_deploys_waits_infers_and_deletes(
    kube: Kube, packages: str, account: str, images: dict[str, BuiltImage], model_deployment: Callable[..., Object]
) -> None:
    """The pod uses its namespace, the Service's name and its token."""
    spec = model_deployment("digits")["spec"]
    program = container("app", images, PROGRAM, SPEC=json.dumps(spec))
    kube.apply(pod("app", account, packages, program))
    phase = kube.wait(lambda: ended(kube, "app"), "the pod has ended", 280)
    text = kube.run("logs", "app")
    assert phase == "Succeeded", text
    output = json.loads(text.splitlines()[-1])
    assert (output["namespace"], output["shape"], output["gone"]) == (kube.namespace, [1, 10], True)
    assert output["reasons"][-1] == "Serving"


def test_a_pod_is_a_caller_with_the_volume_of_the_page(
    kube: Kube, packages: str, images: dict[str, BuiltImage], model_deployment: Callable[..., Object]
) -> None:
    """Its ServiceAccount has no permissions. A second container has the same volume, but without the token."""
    page = documented_pod(kube.namespace)
    account, (volume,) = page["serviceAccountName"], page["volumes"]
    sources = volume["projected"]["sources"]
    without = {"name": "no-token", "projected": {"sources": [each for each in sources if "configMap" in each]}}
    (mount,) = page["containers"][0]["volumeMounts"]
    caller, control = container("caller", images, CALL), container("control", images, CALL)
    caller["volumeMounts"].append(mount)
    control["volumeMounts"].append(mount | {"name": "no-token"})

    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
    clients = [{"name": "app", "serviceAccount": {"name": account}}]
    kube.apply(model_deployment("digits", privacy={"clients": clients}))
    kube.wait_ready("digits")
    kube.apply(pod("caller", account, packages, caller, control, volumes=[volume, without]))
    phase = kube.wait(lambda: ended(kube, "caller"), "the pod has ended", 120)
    said = {name: kube.run("logs", "caller", "-c", name) for name in ("caller", "control")}
    assert (phase, said["caller"]) == ("Succeeded", "(1, 10)\n"), said
    assert "unauthenticated" in said["control"]


def documented_pod(namespace: str) -> Object:
    """Return the spec of the pod in docs/sdk.md, for a deployment of another namespace."""
    page = (ROOT / "docs" / "sdk.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (block,) = (each for each in blocks if "serviceAccountToken" in each)
    assert "/models/digits" in block
    return dict(yaml.safe_load(block.replace("/models/digits", f"/{namespace}/digits"))["spec"])


def ended(kube: Kube, name: str) -> str:
    """Return the phase of the pod once it is final; before that, an empty string."""
    found: Any = kube.get("pod", name)
    phase = str(found["status"]["phase"])
    return phase if phase in {"Succeeded", "Failed"} else ""


def container(name: str, images: dict[str, BuiltImage], program: str, **variables: str) -> Object:
    """Return a container that runs the program with the packages of the claim."""
    variables["PYTHONPATH"] = "/opt/triton-operator:/packages:/opt/packages"
    return {
        "name": name,
        "image": images["operator"].reference,
        "command": ["python3", "-c", program],
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "volumeMounts": [{"name": "packages", "mountPath": "/packages", "readOnly": True}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def pod(name: str, account: str, claim: str, *containers: Object, volumes: Sequence[Object] = ()) -> Object:
    """Return a pod with these containers and volumes, and the claim with the packages."""
    packages = {"name": "packages", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": account,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": list(containers),
            "volumes": [packages, *volumes],
        },
    }
