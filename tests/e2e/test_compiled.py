"""A network compiled by AOTInductor in a pod: the library is unpacked where a read-only root lets it, and answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from hack.cluster.handle import Cluster
from tests.kube import Kube, Object
from tests.volumes import claim_manifest, volume_manifest
from training import REPOSITORY
from training.recipes import find
from training.torchscript import load_eager
from training.workflow import model_file
from triton_operator.export import export_aotinductor
from triton_operator.sdk import Client, Protocol

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The trained digits, as a module of Python."""
    return load_eager(find("digits").build, model_file(REPOSITORY, "digits")).eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Handwritten digits that the network has never seen."""
    return torch.from_numpy(find("digits").preprocess().test.inputs[:8])


@pytest.fixture(scope="module")
def deployed(
    node: Cluster, kube: Kube, network: nn.Module, pictures: torch.Tensor, model_deployment: Callable[..., Object]
) -> Iterator[None]:
    """Compiled into a claim of the node, and Ready."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    if shutil.which("g++") is None:
        pytest.skip("compiling a model needs a C++ compiler, and there is no g++")
    folder = node.host_path / "compiled"
    export_aotinductor(network, pictures, folder, name="compiled", max_batch_size=16)
    volume = volume_manifest("compiled", kube.namespace, f"{node.node_path}/compiled")
    kube.apply(volume, claim_manifest("compiled"))
    models = [{"name": "compiled", "format": "AOTInductor"}]
    kube.apply(model_deployment("compiled", modelRepository={"pvc": {"claimName": "compiled"}}, models=models))
    kube.wait_ready("compiled")
    yield
    kube.delete("modeldeployment", "compiled")
    kube.delete("persistentvolume", volume["metadata"]["name"], wait=False)
    shutil.rmtree(folder)


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_compiled_network_in_a_pod_answers_as_the_module_itself(
    node: Cluster, kube: Kube, network: nn.Module, pictures: torch.Tensor, protocol: Protocol
) -> None:
    """One row and several."""
    with (
        node.reach(kube.namespace, "compiled", protocol.port) as address,
        Client("compiled", protocol=protocol, url=address) as client,
    ):
        for rows in (1, 8):
            answer = client.infer("compiled", pictures[:rows].numpy()).output
            with torch.inference_mode():
                np.testing.assert_allclose(answer, network(pictures[:rows]).numpy(), atol=TOLERANCE)
