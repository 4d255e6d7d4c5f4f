"""A network compiled by AOTInductor in a pod with a read-only root: its library is unpacked and serves requests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from hack.cluster.handle import RunningCluster
from tests.compiled_digits import CompiledDigits
from tests.kube import Kube, Object
from tests.served import serve
from tests.volumes import claim_manifest, volume_manifest
from triton_operator.sdk import Protocol


@pytest.fixture(scope="module")
def deployed(node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object]) -> Iterator[CompiledDigits]:
    """Compile the network to a volume of the node and deploy it; wait until it is Ready."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    folder = node.host_path / "compiled"
    digits = CompiledDigits(folder, "compiled")
    volume = volume_manifest("compiled", kube.namespace, f"{node.node_path}/compiled")
    kube.apply(volume, claim_manifest("compiled"))
    models = [{"name": "compiled", "format": "AOTInductor"}]
    kube.apply(model_deployment("compiled", modelRepository={"pvc": {"claimName": "compiled"}}, models=models))
    kube.wait_ready("compiled")
    yield digits
    kube.delete("modeldeployment", "compiled")
    kube.delete("persistentvolume", volume["metadata"]["name"], wait=False)
    shutil.rmtree(folder)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_compiled_network_in_a_pod_answers_as_the_module_itself(
    node: RunningCluster, kube: Kube, deployed: CompiledDigits, protocol: Protocol
) -> None:
    """Compare requests with one row and with several rows."""
    with serve(node, kube, "compiled") as served, served.client(protocol) as client:
        deployed.compare(client, (1, 8))
