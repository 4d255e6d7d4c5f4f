"""Children of an earlier release under this one: the pods stay identical, to the last byte.

`releases/*.json` contain, for several specs, the children as that release applied them. They are never generated again,
because the new operator's output cannot show that the old one's is preserved.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.programs import tools
from tests.apiserver.operator_process import OperatorProcess
from tests.kube import Kube
from triton_operator.api.names import MANAGER

Object = dict[str, Any]

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.json"))
LEFT_BEHIND = {f"{file.stem} {name}": left for file in RELEASES for name, left in json.loads(file.read_text()).items()}


@pytest.mark.parametrize("left", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_pods_of_an_earlier_release_are_kept(left: Object, kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    """Scaling under the new operator does not restart them either; a change of the pods' content does."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    _leave_behind(left, kube)
    before = _template(kube)
    with OperatorProcess(kubeconfig, namespace, tmp_path) as operator:
        operator.wait_ready()
        kube.run("scale", "modeldeployment/digits", "--replicas=3")
        kube.wait(lambda: _deployment(kube)["replicas"] == 3, "the new operator works on it")
        kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "it is accepted")
        assert _template(kube) == before
        kube.patch("modeldeployment", "digits", {"spec": {"resources": {"requests": {"cpu": "2"}}}})
        kube.wait(lambda: _template(kube) != before, "what runs is rendered anew")


def _leave_behind(left: Object, kube: Kube) -> None:
    """Create the object and its children in this namespace, as the earlier operator applied them."""
    kind = {"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment"}
    kube.apply(kind | {"metadata": {"name": "digits"}, "spec": left["spec"]})
    uid = (kube.get("modeldeployment", "digits") or {})["metadata"]["uid"]
    for child in left["children"]:
        child["metadata"]["namespace"] = kube.namespace
        child["metadata"]["ownerReferences"][0]["uid"] = uid
        kube.run("apply", "--server-side", f"--field-manager={MANAGER}", "-f", "-", stdin=json.dumps(child))


def _deployment(kube: Kube) -> Object:
    spec: Object = (kube.get("deployment", "digits") or {})["spec"]
    return spec


def _template(kube: Kube) -> Object:
    template: Object = _deployment(kube)["template"]
    return template
