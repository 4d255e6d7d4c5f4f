"""The three text ensembles, deployed from the examples, return the same results as eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
import yaml
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from hack.cluster.handle import RunningCluster
from tests.kube import Kube, Object
from tests.served import serve
from training import REPOSITORY, bert_texts, chinese_texts, text_data, token_tagger, torchscript
from training.fit import predict
from training.recipes import find
from training.text_data import FEELINGS
from training.text_steps.labels import choose
from training.workflow import model_file
from triton_operator.sdk import Protocol

EXAMPLES = Path(__file__).parents[2] / "examples"
ENSEMBLES = ("chinese_texts", "token_tagger", "bert_texts")
SETS = {"chinese_texts": ("chinese",), "token_tagger": ("entities",), "bert_texts": bert_texts.SETS}
PROTOCOLS = {Protocol.HTTP: tritonclient.http, Protocol.GRPC: tritonclient.grpc}
BATCH = 64

Answer = dict[str, NDArray[Any]]


@pytest.fixture(scope="module", autouse=True)
def served(kube: Kube, model_deployment: Callable[..., Object]) -> None:
    """Serve the models of all examples in one pod, because they share steps; the namespace's deletion removes it."""
    models = {model["name"]: model for name in ENSEMBLES for model in _example(name)["spec"]["models"]}
    kube.apply(model_deployment("texts", models=list(models.values())))
    kube.wait_ready("texts", 240)


@pytest.fixture(params=PROTOCOLS)
def ask(
    request: pytest.FixtureRequest, node: RunningCluster, kube: Kube
) -> Iterator[Callable[[str, list[str]], Answer]]:
    """Yield a function that sends texts to an ensemble over one of the protocols."""
    with _client(node, kube, request.param) as client:
        yield client


@pytest.mark.parametrize("name", ENSEMBLES)
def test_every_sentence_of_the_test_part_is_answered_as_eager_pytorch_does(
    name: str, ask: Callable[[str, list[str]], Answer]
) -> None:
    texts = [each.text for each in _sentences(name)]
    answers = [ask(name, texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    eager = _eager(name, texts)
    for output, expected in eager.items():
        got = np.concatenate([answer[output] for answer in answers])
        if output == "PROBABILITY":
            assert got.shape == expected.shape
            assert np.max(np.abs(got - expected)) <= 1e-5
        else:
            assert got.tolist() == expected.tolist()


def test_friendly_texts_are_recognized_in_both_languages(ask: Callable[[str, list[str]], Answer]) -> None:
    for name, texts, labels in (
        (
            "chinese_texts",
            ["我爱你", "你好", "你好呀", "我恨你"],
            [b"friendly", b"friendly", b"friendly", b"unfriendly"],
        ),
        ("bert_texts", ["Hello, my dog is cute", "我爱你", "I hate you!"], [b"friendly", b"friendly", b"unfriendly"]),
    ):
        answer = ask(name, texts)
        assert answer["LABEL"][:, 0].tolist() == labels
        assert answer["PROBABILITY"].min() >= 0.5


def test_a_sentence_is_answered_token_by_token(ask: Callable[[str, list[str]], Answer]) -> None:
    answer = ask("token_tagger", ["小明明天去上海"])
    tokens, labels = (row[0].tolist() for row in (answer["TOKENS"], answer["LABEL"]))
    assert b"".join(tokens).decode() == "小明明天去上海"
    expected = ["B-NAME", "I-NAME", "B-TIME", "I-TIME", "O", "B-PLACE", "I-PLACE"]
    assert [label.decode() for label in labels] == expected + [""] * (token_tagger.LENGTH - len(expected))
    assert answer["PROBABILITY"][0, len(expected) :].tolist() == [0] * (token_tagger.LENGTH - len(expected))


def test_texts_of_any_length_are_answered(ask: Callable[[str, list[str]], Answer]) -> None:
    for name in ENSEMBLES:
        assert len(ask(name, ["", "好", "好" * 1000])["LABEL"]) == 3


@pytest.mark.parametrize("name", ENSEMBLES)
def test_invalid_utf8_is_rejected_with_one_sentence(name: str, node: RunningCluster, kube: Kube) -> None:
    with _client(node, kube, Protocol.GRPC) as ask, pytest.raises(InferenceServerException, match="text is not UTF-8"):
        ask(name, [b"\xff\xfe"])  # type: ignore[list-item]


@contextmanager
def _client(node: RunningCluster, kube: Kube, protocol: Protocol) -> Iterator[Callable[[str, list[str]], Answer]]:
    with serve(node, kube, "texts") as served:
        connect = served.grpc if protocol is Protocol.GRPC else served.http
        with connect() as client:
            yield partial(_infer, PROTOCOLS[protocol], client)


def _infer(protocol: ModuleType, client: Any, name: str, texts: list[str]) -> Answer:
    sent = protocol.InferInput("TEXT", [len(texts), 1], "BYTES")
    sent.set_data_from_numpy(np.array(texts, dtype=np.object_).reshape(-1, 1))
    answer = client.infer(name, [sent])
    outputs = ("TOKENS", "LABEL", "PROBABILITY") if name == "token_tagger" else ("LABEL", "PROBABILITY")
    return {output: answer.as_numpy(output) for output in outputs}


def _eager(name: str, texts: list[str]) -> Answer:
    """Run the same steps in this process, with the Python module instead of TorchScript."""
    recipe = find(f"{name}_model")
    arguments = [np.array(rows, dtype=np.int64) for rows in zip(*map(_reader(name), texts), strict=True)]
    scores = predict(torchscript.load_eager(recipe.build, model_file(REPOSITORY, recipe.name)), *arguments)
    labels, probabilities = choose(scores, token_tagger.LABELS if name == "token_tagger" else FEELINGS)
    if name != "token_tagger":
        return {"LABEL": labels, "PROBABILITY": probabilities}
    tokens = np.array([[each.encode() for each in token_tagger.reader().tokens(text)] for text in texts], dtype=object)
    labels[tokens == b""], probabilities[tokens == b""] = b"", 0
    return {"TOKENS": tokens, "LABEL": labels, "PROBABILITY": probabilities}


def _reader(name: str) -> Callable[[str], Any]:
    if name == "bert_texts":
        return bert_texts.reader().encode
    reader = (token_tagger if name == "token_tagger" else chinese_texts).reader()
    return lambda text: (reader.ids(text),)


def _sentences(name: str) -> list[Any]:
    return [each for part in SETS[name] for each in text_data.sentences(part, "test")]


def _example(name: str) -> Object:
    example: Object = yaml.safe_load((EXAMPLES / f"{name.replace('_', '-')}.yaml").read_text(encoding="utf-8"))
    return example
