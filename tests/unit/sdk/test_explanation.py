"""`Client.explain`: a served model is evaluated with parts of its input masked, for all types of inputs and outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.inference_server import Backend, Model, grpc_server, http_server
from triton_operator.explain import Method, RowKind
from triton_operator.sdk import AsyncClient, Client, InvalidRequestError, ModelInterface, Protocol, TensorInterface
from triton_operator.sdk.explanation import ExplainOptions, explain_served
from triton_operator.sdk.tensors import Array

SERVERS = {Protocol.HTTP: http_server, Protocol.GRPC: grpc_server}
ROW = np.array([1, 5, 2, 4], dtype=np.float32)


def backend() -> Backend:
    """An echo of four numbers that accepts at most eight rows; its largest output is its largest input."""
    return Backend(models={"echo": Model({"x": ("FP32", [-1, 4])}, most_rows=8)})


def interface(inputs: Mapping[str, tuple[str, list[int]]], outputs: Mapping[str, tuple[str, list[int]]]) -> Any:
    input_tensors, output_tensors = (
        tuple(TensorInterface(name, kind, tuple(shape)) for name, (kind, shape) in each.items())
        for each in (inputs, outputs)
    )
    return ModelInterface("model", input_tensors, output_tensors)


TEXTS = interface({"TEXT": ("BYTES", [-1, 1])}, {"LABEL": ("BYTES", [-1, 1]), "PROBABILITY": ("FP32", [-1, 1])})


def feelings(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """An ensemble from text to the more probable of two labels: 0.5, plus 0.25 for 爱, minus 0.25 for 不."""
    texts = [text.decode() if isinstance(text, bytes) else text for text in inputs["TEXT"].reshape(-1)]
    positive = np.array([[0.5 + 0.25 * ("爱" in text) - 0.375 * ("不" in text)] for text in texts])
    label = np.where(positive >= 0.5, b"positive", b"negative").astype(np.object_)
    return {"LABEL": label, "PROBABILITY": np.maximum(positive, 1 - positive)}


def explain(row: Any, ask: Any = feelings, declared: Any = TEXTS, method: str = "auto", **options: Any) -> Any:
    arguments: ExplainOptions = options  # type: ignore[assignment] # Tests give wrong ones, too.
    return explain_served(ask, declared, row, method, arguments)


@pytest.mark.parametrize("protocol", SERVERS)
def test_a_served_model_is_explained_in_batches_that_it_takes(protocol: Protocol) -> None:
    """More rows than the model's maximum are sent in several requests."""
    progress: list[tuple[int, int]] = []
    served = backend()
    with SERVERS[protocol](served) as url, Client("echo", protocol=protocol, url=url) as client:
        explanation = client.explain("echo", ROW, progress=lambda *at: progress.append(at))
    assert (explanation.model, explanation.kind, explanation.target, explanation.prediction) == (
        "echo",
        RowKind.TABLE,
        (1,),
        5,
    )
    assert np.allclose(explanation.attributions, [0, 5, 0, 0])
    assert explanation.evaluations == 1 + 2**4
    assert served.inferences == 1 + 1 + 2  # The row, the refusal of 16 rows, and twice 8.
    assert progress == [(16, 16)]


async def test_the_same_with_asyncio() -> None:
    with http_server(backend()) as url:
        async with AsyncClient("echo", url=url) as client:
            one, other = await asyncio.gather(client.explain("echo", ROW), client.explain("echo", ROW, "occlusion"))
    assert one.method is Method.KERNEL_SHAP
    assert other.method is Method.OCCLUSION
    assert np.allclose(one.attributions, other.attributions)


async def test_a_cancelled_explanation_sends_no_more_requests() -> None:
    """Otherwise, two thousand requests would follow."""
    served = Backend(models={"echo": Model({"x": ("FP32", [-1, 40])})})
    called = asyncio.Event()
    loop = asyncio.get_running_loop()
    with http_server(served) as url:
        async with AsyncClient("echo", url=url) as client:
            row = np.ones(40, dtype=np.float32)
            options: Any = {"progress": lambda *_: loop.call_soon_threadsafe(called.set)}
            task = asyncio.create_task(client.explain("echo", row, **options))
            await called.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert served.inferences < 16


def test_a_label_is_explained_by_its_own_probability() -> None:
    """Also if masking a piece changes the output to the other label."""
    explanation = explain("我爱你")
    shares = dict(zip(explanation.pieces, explanation.attributions.round(9).tolist(), strict=True))
    assert (explanation.label, explanation.prediction, explanation.base_value) == ("positive", 0.75, 0.5)
    assert shares == {"我": 0, "爱": 0.25, "你": 0}
    negative = explain("我不爱你", target="positive")
    shares = dict(zip(negative.pieces, negative.attributions.round(9).tolist(), strict=True))
    assert (negative.label, negative.prediction) == ("positive", 0.375)
    assert shares == {"我": 0, "不": -0.375, "爱": 0.25, "你": 0}
    assert any("only its most probable label" in note for note in negative.notes)


def test_each_token_has_its_label() -> None:
    """The target of a tagger is the position of a token."""
    declared = interface({"TEXT": ("BYTES", [-1, 1])}, {"LABEL": ("BYTES", [-1, 2]), "PROBABILITY": ("FP32", [-1, 2])})

    def tagger(inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = inputs["TEXT"].reshape(-1)
        labels = np.array([[b"place" if "北" in str(row) else b"other", b""] for row in rows], dtype=np.object_)
        return {"LABEL": labels, "PROBABILITY": np.tile([0.75, 0], (len(rows), 1))}

    explanation = explain("去北京", tagger, declared, target=(0,), baseline="□")
    assert explanation.label == "place"
    assert dict(zip(explanation.pieces, explanation.attributions.round(9).tolist(), strict=True)) == {
        "去": 0,
        "北": 0.75,
        "京": 0,
    }
    assert any("0 is used" in note for note in explanation.notes)


def test_more_than_two_labels_are_noted() -> None:
    """1 - p is then more than the probability of one other label."""

    def three(inputs: Mapping[str, Array]) -> dict[str, Array]:
        texts = [str(text) for text in inputs["TEXT"].reshape(-1)]
        label = [["b" if "b" in text else "a" if "a" in text else "none"] for text in texts]
        return {"LABEL": np.array(label, dtype=np.object_), "PROBABILITY": np.full((len(texts), 1), 0.75)}

    assert any("there are more labels: a, b, none" in note for note in explain("a b", three).notes)
    assert not any("there are more labels" in note for note in explain("我爱你").notes)


def test_the_explained_output_is_named() -> None:
    """If there are several, with how to select another, also for labels; images and texts show the notes."""
    declared = interface({"x": ("FP32", [-1, 2])}, {"a": ("FP32", [-1, 2]), "b": ("FP32", [-1, 1])})

    def model(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"a": inputs["x"], "b": inputs["x"].sum(axis=1, keepdims=True)}

    row = np.array([1, 2], np.float32)
    explanation = explain(row, model, declared)
    assert (explanation.output, explanation.outputs) == ("a", ("a", "b"))
    assert any(
        note.startswith("of the outputs a, b the first numeric one, a, is explained; ") for note in explanation.notes
    )
    chosen = explain(row, model, declared, output="b")
    assert (chosen.output, chosen.to_json()["output"]) == ("b", {"name": "b", "all": ["a", "b"]})
    assert not any("of the outputs" in note for note in chosen.notes)
    labelled = explain("我爱你")
    assert labelled.output == "PROBABILITY"
    assert any("of the outputs LABEL, PROBABILITY only PROBABILITY is numeric" in note for note in labelled.notes)


def test_one_of_several_inputs_is_explained_and_the_others_stay() -> None:
    declared = interface({"a": ("FP32", [-1, 2]), "b": ("FP32", [-1, 2])}, {"sum": ("FP32", [-1, 1])})

    def weighted(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"sum": (inputs["a"] * inputs["b"]).sum(axis=1, keepdims=True)}

    row = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32)}
    explanation = explain(row, weighted, declared, input="a")
    assert np.allclose(explanation.attributions, [3, 8])
    with pytest.raises(InvalidRequestError, match="input: model has the inputs a, b; name the one to explain"):
        explain(row, weighted, declared)


def test_a_model_without_a_batch_is_asked_row_by_row() -> None:
    declared = interface({"x": ("FP32", [3])}, {"y": ("FP32", [2])})
    shapes: list[tuple[int, ...]] = []

    def model(inputs: Mapping[str, Array]) -> dict[str, Array]:
        shapes.append(inputs["x"].shape)
        return {"y": np.array([inputs["x"].sum(), -1])}

    explanation = explain(np.array([1, 2, 3], np.float32), model, declared)
    assert np.allclose(explanation.attributions, [1, 2, 3])
    assert set(shapes) == {(3,)}


@pytest.mark.parametrize(
    ("row", "options", "complaint"),
    [
        (["我", "你"], {}, r"inputs\['TEXT'\]: has 2 rows; one is explained at a time"),
        ("我爱你", {"target": "neutral"}, "target: no response had the label 'neutral'; they had positive"),
        ("我爱你", {"output": "LABEL"}, "output: model has the outputs LABEL .*; LABEL is not a numeric output"),
        ("我爱你", {"method": "magic"}, "method: 'magic' is not one of auto, kernel-shap, occlusion"),
        ("我爱你", {"method": "saliency"}, "method: saliency needs the model file"),
        ("我爱你", {"sample": 3}, "explain: has no option sample"),
        ("我爱你", {"samples": 3, "method": "kernel-shap"}, "samples: kernel-shap needs 9 samples for 3 pieces"),
        (np.ones(3), {}, r"inputs\['TEXT'\]: expected BYTES"),
    ],
)
def test_what_cannot_be_explained_is_refused_as_any_wrong_request(
    row: Any, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidRequestError, match=complaint):
        explain(row, **options)
