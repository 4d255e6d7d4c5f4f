"""A network compiled by AOTInductor and served by a real Triton returns the same results as eager PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.compiled_digits import CompiledDigits
from tests.local.session import Serving, User
from triton_operator.sdk.address import Protocol
from triton_operator.sdk.client import Client

MANIFEST = """
apiVersion: triton-operator.io/v1alpha1
kind: ModelDeployment
metadata: {name: digits-compiled}
spec:
  modelRepository: {pvc: {claimName: models}}
  models: [{name: digits-compiled, format: AOTInductor}]
  resources: {limits: {cpu: "2"}}
"""
pytestmark = pytest.mark.timeout(900)  # The first start may download the server.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the folder of the ModelDeployment and its repository."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def digits(folder: Path) -> CompiledDigits:
    """Compile the network to the repository."""
    return CompiledDigits(folder / "models", "digits-compiled")


@pytest.fixture(scope="module")
def serving(user: User, folder: Path, digits: CompiledDigits) -> Iterator[Serving]:
    """Serve it as a ModelDeployment; the configuration is generated from the file's signature alone."""
    del digits
    (folder / "manifest.yaml").write_text(MANIFEST)
    with user.serving(folder / "manifest.yaml", "--repository", folder / "models") as started:
        yield started


@pytest.mark.parametrize("protocol", Protocol)
def test_a_compiled_network_answers_as_the_module_itself(
    serving: Serving, digits: CompiledDigits, protocol: Protocol
) -> None:
    """The batches have one row, which torch.export treats as a special case, several rows, and the maximum."""
    url = serving.grpc if protocol is Protocol.GRPC else serving.http
    with Client("digits-compiled", protocol=protocol, url=url) as client:
        digits.compare(client, (1, 3, 16))


def test_triton_refuses_another_size_before_the_library_sees_it(serving: Serving) -> None:
    """The library would read out of bounds."""
    picture = triton.InferInput("INPUT__0", [1, 1, 2, 2], "FP32")
    picture.set_data_from_numpy(np.zeros((1, 1, 2, 2), np.float32))
    with (
        closing(triton.InferenceServerClient(serving.http)) as client,
        pytest.raises(InferenceServerException, match=r"unexpected shape for input 'INPUT__0'"),
    ):
        client.infer("digits-compiled", [picture])
