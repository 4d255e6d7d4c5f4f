"""Text in, a label out: a Python tokenizer, a TorchScript model and Python labels in one pod, called as one model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import tritonclient.grpc
import tritonclient.http

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import Served, serve
from tests.volumes import claim_manifest, volume_manifest
from triton_operator.export import export_torchscript

STEPS = Path(__file__).parents[1] / "models" / "language"
TEXTS = ["我爱你", "I love you", "模型 model", "o"]
LENGTH = 16

TEXT = {"name": "TEXT", "dataType": "STRING", "dims": [1]}
IDS = {"name": "IDS", "dataType": "INT64", "dims": [LENGTH]}
LOGITS = {"name": "LOGITS", "dataType": "FP32", "dims": [2]}
ANSWER = [
    {"name": "LABEL", "dataType": "STRING", "dims": [1]},
    {"name": "PROBABILITY", "dataType": "FP32", "dims": [1]},
]
MODELS = [
    {"name": "tokenizer", "format": "Python", "config": {"maxBatchSize": 8, "inputs": [TEXT], "outputs": [IDS]}},
    {"name": "scorer"},  # no configuration: its signature describes the tensors
    {"name": "labels", "format": "Python", "config": {"maxBatchSize": 8, "inputs": [LOGITS], "outputs": ANSWER}},
    {
        "name": "language",
        "format": "Ensemble",
        "config": {
            "maxBatchSize": 8,
            "inputs": [TEXT],
            "outputs": ANSWER,
            "ensemble": {
                "steps": [
                    {"modelName": "tokenizer", "inputMap": {"TEXT": "TEXT"}, "outputMap": {"IDS": "ids"}},
                    {"modelName": "scorer", "inputMap": {"INPUT__0": "ids"}, "outputMap": {"OUTPUT__0": "logits"}},
                    {
                        "modelName": "labels",
                        "inputMap": {"LOGITS": "logits"},
                        "outputMap": {"LABEL": "LABEL", "PROBABILITY": "PROBABILITY"},
                    },
                ]
            },
        },
    },
]


class Scorer(torch.nn.Module):
    """Scores a text: half a point for each Latin letter and one point for each Chinese character."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Input: INT64 [batch, 16]. Output: FP32 [batch, 2]."""
        latin = ((ids > 0x20) & (ids < 0x250)).sum(dim=1)
        chinese = ((ids >= 0x4E00) & (ids < 0xA000)).sum(dim=1)
        return torch.stack([latin, chinese * 2], dim=1).to(torch.float32) * 0.5


@pytest.fixture(scope="module")
def repository(node: RunningCluster, kube: Kube) -> Iterator[Object]:
    """Write the three steps to a volume; the ensemble has no files."""
    if node.host_path is None:
        pytest.skip("this cluster has no folder that tests can fill")
    folder = node.host_path / "language"
    for step in ("tokenizer", "labels"):
        (folder / step / "1").mkdir(parents=True)
        shutil.copyfile(STEPS / f"{step}.py", folder / step / "1" / "model.py")
    export_torchscript(Scorer(), (_ids(TEXTS),), folder, name="scorer", max_batch_size=8)
    volume = volume_manifest("language", kube.namespace, f"{node.node_path}/language")
    kube.apply(volume, claim_manifest("language"))
    yield {"pvc": {"claimName": "language"}}
    kube.delete("persistentvolume", volume["metadata"]["name"], wait=False)
    shutil.rmtree(folder)


def test_a_text_is_answered_with_a_label_and_its_probability(
    node: RunningCluster, kube: Kube, model_deployment: Callable[..., Object], repository: Object
) -> None:
    """The results of a batch over HTTP and gRPC equal those of the same steps in eager PyTorch."""
    kube.apply(model_deployment("language", modelRepository=repository, models=MODELS))
    ready = kube.wait_ready("language", 240)
    assert {model["name"] for model in ready["status"]["models"]} == {"tokenizer", "scorer", "labels", "language"}
    for protocol, connect in ((tritonclient.http, Served.http), (tritonclient.grpc, Served.grpc)):
        with serve(node, kube, "language") as served, connect(served) as client:
            sent = protocol.InferInput("TEXT", [len(TEXTS), 1], "BYTES")
            sent.set_data_from_numpy(np.array(TEXTS, dtype=np.object_).reshape(-1, 1))
            answer = client.infer("language", [sent])
        labels, probabilities = answer.as_numpy("LABEL"), answer.as_numpy("PROBABILITY")
        expected = torch.softmax(Scorer()(_ids(TEXTS)), dim=1).max(dim=1)
        assert [label.decode() for label in labels[:, 0]] == [
            ["English", "Chinese"][index] for index in expected.indices
        ]
        assert np.allclose(probabilities[:, 0], expected.values.numpy(), atol=1e-6)


def _ids(texts: list[str]) -> torch.Tensor:
    """Return the same IDs as the tokenizer."""
    rows = [[ord(character) for character in text[:LENGTH]] for text in texts]
    return torch.tensor([row + [0] * (LENGTH - len(row)) for row in rows])
