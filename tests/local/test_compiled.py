"""A network compiled ahead of time, served by the real Triton of this machine, and held against eager PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
import torch
import tritonclient.http as triton
from torch import nn
from tritonclient.utils import InferenceServerException

from tests.local.session import Serving, User
from training import REPOSITORY
from training.recipes import find
from training.torchscript import load_eager
from training.workflow import model_file
from triton_operator.export import export_aotinductor
from triton_operator.sdk.address import Protocol
from triton_operator.sdk.client import Client

TOLERANCE = 1e-5
MANIFEST = """
apiVersion: triton-operator.io/v1alpha1
kind: ModelDeployment
metadata: {name: digits-compiled}
spec:
  modelRepository: {pvc: {claimName: models}}
  models: [{name: digits-compiled, format: AOTInductor}]
  resources: {limits: {cpu: "2"}}
"""
pytestmark = pytest.mark.timeout(900)  # The first start may have to fetch the server.


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The trained digits, as a module of Python."""
    return load_eager(find("digits").build, model_file(REPOSITORY, "digits")).eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Handwritten digits that the network has never seen."""
    return torch.from_numpy(find("digits").preprocess().test.inputs[:16])


@pytest.fixture(scope="module")
def serving(
    user: User, network: nn.Module, pictures: torch.Tensor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Compiled with as many rows as a batch may have; the configuration is made from the file's signature alone."""
    if shutil.which("g++") is None:
        pytest.skip("compiling a model needs a C++ compiler, and there is no g++")
    folder = tmp_path_factory.mktemp("compiled")
    export_aotinductor(network, pictures, folder / "models", name="digits-compiled", max_batch_size=16)
    (folder / "manifest.yaml").write_text(MANIFEST)
    with user.serving(folder / "manifest.yaml", "--repository", folder / "models") as started:
        yield started


@pytest.mark.parametrize("protocol", Protocol)
def test_a_compiled_network_answers_as_the_module_itself(
    serving: Serving, network: nn.Module, pictures: torch.Tensor, protocol: Protocol
) -> None:
    """A row alone, which torch.export takes for another case than several, and as many as the file allows."""
    url = serving.grpc if protocol is Protocol.GRPC else serving.http
    with Client("digits-compiled", protocol=protocol, url=url) as client:
        for rows in (1, 3, 16):
            answer = client.infer("digits-compiled", pictures[:rows].numpy()).output
            with torch.inference_mode():
                np.testing.assert_allclose(answer, network(pictures[:rows]).numpy(), atol=TOLERANCE)


def test_triton_refuses_another_size_before_the_library_sees_it(serving: Serving) -> None:
    """It would read what lies beside the tensor."""
    picture = triton.InferInput("INPUT__0", [1, 1, 2, 2], "FP32")
    picture.set_data_from_numpy(np.zeros((1, 1, 2, 2), np.float32))
    with (
        closing(triton.InferenceServerClient(serving.http)) as client,
        pytest.raises(InferenceServerException, match=r"unexpected shape for input 'INPUT__0'"),
    ):
        client.infer("digits-compiled", [picture])
