"""The definition of an earlier release and this one, with objects of both, and this operator with both.

`helm upgrade` replaces the operator and the definition one after the other, and an administrator may keep the older
definition, or return to it. `releases/0.1.0-definition.yaml` is that of the earlier release.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hack.programs.catalogue import tools
from tests.apiserver.api_client import Api
from tests.apiserver.conftest import CRD, Kubectl
from tests.apiserver.many_objects import until_quiet
from tests.apiserver.operator_process import OperatorProcess
from tests.builders import a_body
from tests.kube import Kube
from triton_operator.cluster.deployment_projection import spec_digest
from triton_operator.cluster.resource_paths import MODEL_DEPLOYMENTS

Object = dict[str, Any]

RELEASES = Path(__file__).parent / "releases"
EARLIER = RELEASES / "0.1.0-definition.yaml"
SPECS: dict[str, Object] = {
    name: left["spec"] for name, left in json.loads((RELEASES / "0.1.0.json").read_text()).items()
}
NEW_FIELDS: Object = {"rollout": {"paused": False}, "podLabels": {"team": "vision"}, "autoscaling": {"maxReplicas": 3}}
STATUS = "ModelDeployment/status"
RESYNC_SECONDS = 5.0
PASSES = 3

Switch = Callable[[Path], None]


@pytest.fixture
def switch(kubectl: Kubectl, api: Api, namespace: str) -> Iterator[Switch]:
    """Return a function that applies a definition and waits until the server uses it; in the end, this release's."""

    def apply(definition: Path) -> None:
        kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(definition))
        kube_knows = definition == CRD
        Kube(tools("kubectl") / "kubectl", api.kubeconfig, namespace).wait(
            lambda: _knows_new_fields(api, namespace) is kube_knows, f"{definition.name} is in use"
        )

    yield apply
    apply(CRD)


def _knows_new_fields(api: Api, namespace: str) -> bool:
    """Whether the server stores fields that the earlier definition does not have."""
    body = a_body("probe", namespace, **NEW_FIELDS)
    body["metadata"] = {"name": "probe", "namespace": namespace}
    stored: Object = api.create(MODEL_DEPLOYMENTS.path(namespace), body, dryRun="All")
    return "podLabels" in stored["spec"]


@contextmanager
def running(kubeconfig: Path, namespace: str, folder: Path) -> Iterator[OperatorProcess]:
    """This operator, with short resyncs."""
    with OperatorProcess(kubeconfig, namespace, folder, resync_seconds=RESYNC_SECONDS) as operator:
        operator.wait_ready()
        yield operator


def named(name: str, spec: Object) -> Object:
    """A manifest for kubectl."""
    return {
        "apiVersion": "triton-operator.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": spec,
    }


def specs(kube: Kube) -> dict[str, Object]:
    """The stored specs by name."""
    return {body["metadata"]["name"]: body["spec"] for body in kube.list("modeldeployments")}


def writes_of_passes(operator: OperatorProcess, kube: Kube) -> Counter[str]:
    """What the operator writes in some passes, after as many others."""
    for _ in range(2):
        passes, writes = operator.passes(), operator.writes()
        kube.wait(lambda: operator.passes() >= passes + PASSES, "further passes")  # noqa: B023 - it is called here
    return operator.writes() - writes


async def writes_at_rest(operator: OperatorProcess) -> Counter[str]:
    """What the operator writes in two resyncs, after it has written nothing for as long."""
    await until_quiet(operator, 2 * RESYNC_SECONDS)
    before = operator.writes()
    await asyncio.sleep(2 * RESYNC_SECONDS)
    return operator.writes() - before


def test_every_response_has_the_same_digest_of_a_spec(kubeconfig: Path, namespace: str) -> None:
    """Otherwise an object would be read again after each of them."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    kube.apply(named("digits", SPECS["several"]))
    path = MODEL_DEPLOYMENTS.path(namespace)
    listed = kube.run("get", "--raw", path, namespaced=False).encode()
    watched = kube.run("get", "--raw", f"{path}?watch=true&timeoutSeconds=1", namespaced=False).encode()
    one = kube.run("get", "--raw", f"{path}/digits", namespaced=False).encode()
    items = msgspec.json.decode(
        msgspec.json.decode(listed, type=dict[str, msgspec.Raw])["items"], type=list[msgspec.Raw]
    )
    event = msgspec.json.decode(watched.splitlines()[0], type=dict[str, msgspec.Raw])["object"]
    assert {spec_digest(each) for each in (items[0], event, one)} == {spec_digest(one)}


def test_objects_of_the_earlier_definition_stay_valid(switch: Switch, kubeconfig: Path, namespace: str) -> None:
    """Their specs are unchanged, and they can get new fields."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    switch(EARLIER)
    kube.apply(*(named(name, spec) for name, spec in SPECS.items()))
    before = specs(kube)
    switch(CRD)
    after = specs(kube)
    assert all(before[name].items() <= after[name].items() for name in before)
    for name in before:
        kube.patch("modeldeployment", name, {"spec": NEW_FIELDS})
    assert all("podLabels" in spec for spec in specs(kube).values())


async def test_this_operator_works_with_the_earlier_definition(
    switch: Switch, kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    """The API server removes new fields of the status; the operator writes them once per resync."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    switch(EARLIER)
    kube.apply(named("digits", SPECS["image"]))
    with running(kubeconfig, namespace, tmp_path) as operator:
        kube.wait(lambda: kube.get("deployment", "digits"), "the Deployment exists")
        kube.wait(lambda: (kube.condition("digits", "Accepted") or {}).get("status") == "True", "it is accepted")
        written = writes_of_passes(operator, kube)
        assert set(written) == {STATUS}
        assert written[STATUS] <= PASSES + 1
        switch(CRD)
        kube.patch("modeldeployment", "digits", {"spec": {"podLabels": {"team": "vision"}}})
        template = kube.wait(lambda: _labels(kube).get("team"), "the new field takes effect without a restart")
        assert template == "vision"
        assert await writes_at_rest(operator) == Counter()


def test_a_return_to_the_earlier_definition_keeps_objects_with_new_fields(
    switch: Switch, kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    """They are served until their next change, with which the API server removes the new fields."""
    kube = Kube(tools("kubectl") / "kubectl", kubeconfig, namespace)
    kube.apply(named("digits", SPECS["image"] | NEW_FIELDS))
    with running(kubeconfig, namespace, tmp_path) as operator:
        kube.wait(lambda: _labels(kube).get("team"), "the Deployment has the label")
        kube.wait(lambda: kube.get("horizontalpodautoscaler", "digits"), "the autoscaler exists")
        switch(EARLIER)
        kube.patch("modeldeployment", "digits", {"spec": {"resources": {"requests": {"cpu": "2"}}}})
        kube.wait(lambda: not _labels(kube).get("team"), "the pods follow the object")
        assert "podLabels" not in specs(kube)["digits"]
        assert kube.get("horizontalpodautoscaler", "digits"), "the earlier definition has this field as well"
        assert set(writes_of_passes(operator, kube)) <= {STATUS}


def _labels(kube: Kube) -> dict[str, str]:
    """The labels of new pods."""
    deployment = kube.get("deployment", "digits")
    found: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"] if deployment else {}
    return found
