"""The SDK in an application: deploy, wait, infer and stream, with a real Triton on the node.

Three Python models in one pod return their input. Any array of a declared type and shape is returned unchanged; any
other array is rejected before it is sent to the server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hack import cluster as local
from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.volumes import claim_manifest, volume_manifest
from triton_operator.sdk import (
    AsyncClient,
    Client,
    DeploymentNotFoundError,
    InvalidRequestError,
    KubeContext,
    NotReadyError,
    Protocol,
    UnreachableError,
)
from triton_operator.sdk.port_forward import port_forward
from triton_operator.sdk.tensors import DATA_TYPES, Array

MODELS = Path(__file__).parents[1] / "models"
NUMBERS = [name for name in DATA_TYPES if name != "BYTES"]
TENSORS = [
    {"name": name, "dataType": "STRING" if name == "BYTES" else name, "dims": [-1, -1]} for name in DATA_TYPES
]  # fmt: skip
ROWS = [{"name": "NUMBERS", "dataType": "FP32", "dims": [2]}, {"name": "TEXT", "dataType": "STRING", "dims": [1]}]
SPEC: list[Object] = [
    {
        "name": "identity",
        "format": "Python",
        "config": {"inputs": [tensor | {"optional": True} for tensor in TENSORS], "outputs": TENSORS},
    },
    {"name": "rows", "format": "Python", "config": {"maxBatchSize": 4, "inputs": ROWS, "outputs": ROWS}},
    {"name": "count", "format": "Python"},
]
"""`identity` has an optional input for each data type; the config.pbtxt of `count` describes that model."""

_REQUESTS = re.compile(r'^nv_inference_request_(?:success|failure)\{[^}]*model="identity"[^}]*\} (\d+)$', re.MULTILINE)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)
ANYTHING = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def kubectl(node: RunningCluster) -> Iterator[KubeContext]:
    """Put the node's kubectl on PATH, and return its context."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{local.tools()}:{os.environ['PATH']}")
        yield KubeContext(kubeconfig=str(node.kubeconfig))


@pytest.fixture(scope="module")
def deployed(
    node: RunningCluster, kube: Kube, kubectl: KubeContext, model_deployment: Callable[..., Object]
) -> Iterator[list[str]]:
    """Deploy the three models with the SDK; yield the reasons that were reported while waiting."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    folder = node.host_path / "sdk"
    write_models(folder)
    volume = volume_manifest("sdk", kube.namespace, f"{node.node_path}/sdk")
    kube.apply(volume, claim_manifest("sdk"))
    reasons: list[str] = []
    client = Client("echoes", kube.namespace, cluster=kubectl)
    spec = model_deployment("echoes", modelRepository={"pvc": {"claimName": "sdk"}}, models=SPEC)["spec"]
    applied = client.deploy(
        models=spec["models"], model_repository=spec["modelRepository"], resources=spec["resources"]
    )
    assert not applied.ready
    assert client.wait_ready(240, lambda status: reasons.append(status.reason)).ready
    yield reasons
    client.delete()
    with pytest.raises(DeploymentNotFoundError):
        client.status()
    kube.delete("persistentvolume", volume["metadata"]["name"], wait=False)
    shutil.rmtree(folder)


def write_models(repository: Path) -> None:
    """Write the models' folders."""
    for model, source in (("identity", "identity"), ("rows", "identity"), ("count", "count")):
        (repository / model / "1").mkdir(parents=True)
        shutil.copyfile(MODELS / source / f"{source}.py", repository / model / "1" / "model.py")
    shutil.copyfile(MODELS / "count" / "config.pbtxt", repository / "count" / "config.pbtxt")


@pytest.fixture(scope="module", params=list(Protocol))
def client(request: pytest.FixtureRequest, deployed: list[str], kube: Kube, kubectl: KubeContext) -> Iterator[Client]:
    """Open a client through `kubectl port-forward`."""
    with Client("echoes", kube.namespace, protocol=request.param, cluster=kubectl) as opened:
        yield opened


@pytest.fixture(scope="module")
def count_inferences(deployed: list[str], kube: Kube, kubectl: KubeContext) -> Iterator[Callable[[], int]]:
    """Yield a function that reads the number of requests for `identity` from Triton's metrics, including failures."""
    with port_forward(kubectl, "echoes-headless", 8002, kube.namespace) as address:

        def count() -> int:
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
                counts = _REQUESTS.findall(answer.read().decode())
            assert counts
            return sum(int(number) for number in counts)

        yield count


def test_waiting_reports_the_reasons(deployed: list[str], kube: Kube, kubectl: KubeContext) -> None:
    """The last reason is Serving, and the status contains all models."""
    assert deployed[-1] == "Serving"
    status = Client("echoes", kube.namespace, cluster=kubectl).status()
    assert {model.name: str(model.state) for model in status.details.models} == {
        model["name"]: "Ready" for model in SPEC
    }  # fmt: skip
    managers = {entry["manager"] for entry in manifest(kube)["metadata"]["managedFields"]}
    assert "triton-operator-sdk" in managers


def manifest(kube: Kube) -> Object:
    """Return the object with its managed fields."""
    deployment: Object = json.loads(kube.run("get", "modeldeployment", "echoes", "-o", "json", "--show-managed-fields"))
    return deployment


def test_a_deployment_that_cannot_serve_ends_the_wait_with_its_reason(
    kube: Kube, kubectl: KubeContext, model_deployment: Callable[..., Object]
) -> None:
    """The API server's schema errors are also raised with their field."""
    client = Client("typo", kube.namespace, cluster=kubectl)
    body = model_deployment("digits", models=[{"name": "digits", "path": "digitz"}])
    body["metadata"]["name"] = "typo"
    client.deploy(body)
    with pytest.raises(NotReadyError, match="digitz") as failure:
        client.wait_ready(120)
    assert (failure.value.reason, failure.value.stalled) == ("ModelNotFound", True)
    client.delete()
    with pytest.raises(InvalidRequestError, match=r"spec\.replicas"):
        client.deploy(models=["digits"], replicas=-1)
    with pytest.raises(InvalidRequestError, match="modelz"):
        client.deploy(body | {"spec": body["spec"] | {"modelz": []}})


@ANYTHING
@given(st.data())
def test_any_array_of_a_declared_type_and_shape_survives(client: Client, data: st.DataObject) -> None:
    """Arrays are equal bit by bit, including NaN and empty dimensions; a request has several tensors."""
    sent_types = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3, unique=True))
    arrays = {name: data.draw(hnp.arrays(DATA_TYPES[name], SHAPES), label=name) for name in sent_types}
    answer = client.infer("identity", arrays)
    assert set(answer.outputs) == set(arrays)
    for name, array in arrays.items():
        assert_same(answer.outputs[name], array)


@ANYTHING
@given(SHAPES, st.data())
def test_any_text_and_any_bytes_survive(client: Client, shape: tuple[int, ...], data: st.DataObject) -> None:
    """Texts are returned as UTF-8."""
    texts = st.one_of(st.text(), st.binary())
    array = data.draw(hnp.arrays(np.object_, shape, elements=texts))
    got = client.infer("identity", {"BYTES": array}).output
    expected = [value.encode() if isinstance(value, str) else value for value in array.reshape(-1)]
    assert got.shape == array.shape
    assert got.reshape(-1).tolist() == expected


@ANYTHING
@given(st.data())
def test_any_other_array_is_refused_before_it_is_sent(
    client: Client, count_inferences: Callable[[], int], data: st.DataObject
) -> None:
    """The exception names the tensor, and Triton receives no request."""
    expected = data.draw(st.sampled_from(list(DATA_TYPES)))
    other = data.draw(st.sampled_from([name for name in NUMBERS if name != expected]))
    if expected != "BYTES" and data.draw(st.booleans(), label="right type"):
        # One dimension would be a single row of two. Zero, three and four dimensions are neither the shape nor a row.
        shapes = hnp.array_shapes(min_dims=3, max_dims=4, min_side=0, max_side=3) | st.just(())
        array = data.draw(hnp.arrays(DATA_TYPES[expected], shapes))
    else:
        array = data.draw(hnp.arrays(DATA_TYPES[other], SHAPES))
    before = count_inferences()
    with pytest.raises(InvalidRequestError) as refusal:
        client.infer("identity", {expected: array})
    assert refusal.value.field == f"inputs['{expected}']"
    assert count_inferences() == before


def assert_same(got: Array, sent: Array) -> None:
    """Assert that type, shape and bytes are equal."""
    assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
    assert got.tobytes() == sent.tobytes()


def test_many_rows_come_back_in_order(client: Client) -> None:
    """The client learns the maximum batch size from the server's error, because the object does not contain it."""
    numbers = np.arange(46, dtype=np.float32).reshape(23, 2)
    texts = [f"第{index}行" for index in range(23)]
    for _ in range(2):
        answer = client.infer("rows", {"NUMBERS": numbers, "TEXT": texts})
        assert_same(answer.outputs["NUMBERS"], numbers)
        assert [text.decode() for text in answer.outputs["TEXT"][:, 0]] == texts
    assert client.interface("rows").max_batch_size == 4


def test_torch_and_plain_values_survive(client: Client) -> None:
    """A single row without its batch dimension is also accepted."""
    tensor = torch.tensor([[0.5, -1.0], [3.0, 4.0]], requires_grad=True)
    assert client.infer("identity", {"FP32": tensor}).output.tolist() == tensor.tolist()
    answer = client.infer("rows", {"NUMBERS": [1.5, 2], "TEXT": "我爱你"})
    assert answer.outputs["NUMBERS"].tolist() == [[1.5, 2.0]]
    assert answer.outputs["TEXT"].tolist() == [["我爱你".encode()]]


def test_an_unknown_model_is_not_found(client: Client) -> None:
    """The exception contains Triton's message."""
    with pytest.raises(DeploymentNotFoundError, match="unknown model: 'nobody'"):
        client.infer("nobody", {"x": np.zeros(1)})


@pytest.mark.parametrize("protocol", list(Protocol))
async def test_with_asyncio_it_is_the_same(
    protocol: Protocol, deployed: list[str], kube: Kube, kubectl: KubeContext
) -> None:
    """The request has all data types, also with empty dimensions."""
    arrays: dict[str, Array] = {name: np.ones((2, 3), DATA_TYPES[name]) for name in NUMBERS}
    arrays["BYTES"] = np.array([["你好", b"\xff\x00"], ["", "b"]], np.object_)
    async with AsyncClient("echoes", kube.namespace, protocol=protocol, cluster=kubectl) as client:
        answer = await client.infer("identity", arrays)
        empty = await client.infer("identity", {name: array[:0] for name, array in arrays.items()})
        assert (await client.status()).ready
        assert (await client.wait_ready(30)).ready
    for name in NUMBERS:
        assert_same(answer.outputs[name], arrays[name])
        assert empty.outputs[name].shape == (0, 3)
    assert answer.outputs["BYTES"].tolist() == [["你好".encode(), b"\xff\x00"], [b"", b"b"]]


def test_a_decoupled_model_streams_its_answers(deployed: list[str], kube: Kube, kubectl: KubeContext) -> None:
    """A request has any number of responses, and a stream that is closed early does not affect the next one."""
    with Client("echoes", kube.namespace, protocol=Protocol.GRPC, cluster=kubectl) as client:
        assert [int(answer.output[0]) for answer in client.stream("count", [[3], [0], [2]])] == [0, 1, 2, 0, 1]
        for answer in client.stream("count", [[1000]]):
            if answer.output[0] == 5:
                break
        assert [int(answer.output[0]) for answer in client.stream("count", [[1]])] == [0]


def test_nobody_listening_is_unreachable() -> None:
    """The exception is raised after several attempts."""
    with Client("x", url="127.0.0.1:1", timeout=5) as client, pytest.raises(UnreachableError):
        client.infer("identity", {"FP32": np.zeros((1, 1), np.float32)})


def test_types_are_what_a_program_sees(client: Client) -> None:
    """The interface contains the declared tensors and shapes."""
    declared: dict[str, Any] = {tensor.name: tensor.shape for tensor in client.interface("identity").inputs}
    assert declared == dict.fromkeys(DATA_TYPES, (-1, -1))
