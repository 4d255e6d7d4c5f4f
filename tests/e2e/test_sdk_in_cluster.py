"""The SDK inside the cluster: a pod deploys a model with its ServiceAccount, waits, sends a request and deletes it.

The pod runs the operator's image, which has Python and the SDK. The packages that the SDK requires are copied from this
machine to a volume. The pod contains no kubectl and no kubeconfig.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from hack.cluster.handle import Cluster
from hack.images.builder import Image
from tests.kube import Kube, Object
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


@pytest.fixture(scope="module")
def packages(node: Cluster, kube: Kube) -> Iterator[str]:
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
    kube: Kube, packages: str, account: str, images: dict[str, Image], model_deployment: Callable[..., Object]
) -> None:
    """The pod uses its namespace, the Service's name and its token."""
    spec = model_deployment("digits")["spec"]
    kube.apply(pod(images["operator"].reference, account, packages, spec))
    phase = kube.wait(lambda: ended(kube), "the pod has ended", 280)
    text = kube.run("logs", "app")
    assert phase == "Succeeded", text
    output = json.loads(text.splitlines()[-1])
    assert (output["namespace"], output["shape"], output["gone"]) == (kube.namespace, [1, 10], True)
    assert output["reasons"][-1] == "Serving"


def ended(kube: Kube) -> str:
    """Return the phase of the pod once it is final; before that, an empty string."""
    pod: Any = kube.get("pod", "app")
    phase = str(pod["status"]["phase"])
    return phase if phase in {"Succeeded", "Failed"} else ""


def pod(image: str, account: str, claim: str, spec: Object) -> Object:
    """Return a pod that runs the program with the packages of the claim."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app"},
        "spec": {
            "serviceAccountName": account,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "app",
                    "image": image,
                    "command": ["python3", "-c", PROGRAM],
                    "env": [
                        {"name": "PYTHONPATH", "value": "/opt/triton-operator:/packages:/opt/packages"},
                        {"name": "SPEC", "value": json.dumps(spec)},
                    ],
                    "volumeMounts": [{"name": "packages", "mountPath": "/packages", "readOnly": True}],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
            "volumes": [{"name": "packages", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}],
        },
    }
