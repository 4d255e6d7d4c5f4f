"""Handwritten digits to a server and its answers into a picture for the terminal.

Input: pictures [1, 28, 28], float32 from 0 to 1. Output: the digit, its probability and the latency of each protocol.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hack.cluster import Cluster
from training.dataset import Part
from training.digits_data import SIDE
from training.picture import draw
from triton_operator.sdk import Client, Prediction, Protocol
from triton_operator.sdk.tensors import data_type

MODEL = "digits"
INPUT, OUTPUT = "INPUT__0", "OUTPUT__0"


@dataclass(frozen=True)
class Answer:
    """What one protocol said of one picture; `milliseconds` is what the client waited."""

    digit: int
    probability: float
    milliseconds: float


@dataclass(frozen=True)
class Answers:
    """The same picture over both protocols."""

    http: Answer
    grpc: Answer


class Prober:
    """Connections to a deployment over HTTP and gRPC, through its Service; use it as a context manager."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._open = ExitStack()
        self._clients: dict[Protocol, Client] = {}

    def __enter__(self) -> Self:
        """Connect, and send one blank picture over each connection, so that what is timed later is a usual request."""
        for protocol in Protocol:
            reach = self._cluster.reach(self._namespace, self._name, protocol.value)
            client = Client(self._name, protocol=protocol, url=self._open.enter_context(reach))
            self._clients[protocol] = self._open.enter_context(client)
            client.infer(MODEL, {INPUT: np.zeros((1, 1, SIDE, SIDE), np.float32)})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both."""
        self._open.close()

    def ask(self, image: NDArray[np.float32]) -> Answers:
        """Send one picture over each protocol."""
        said = {protocol: client.infer(MODEL, {INPUT: image[None]}) for protocol, client in self._clients.items()}
        return Answers(read(said[Protocol.HTTP]), read(said[Protocol.GRPC]))


def read(prediction: Prediction) -> Answer:
    """The likeliest digit of an answer to one picture."""
    probabilities = prediction.outputs[OUTPUT].reshape(-1)
    digit = int(probabilities.argmax())
    return Answer(digit, float(probabilities[digit]), prediction.seconds * 1000)


def show_predictions(digits: Part, answers: list[Answers], *, colour: bool) -> str:
    """Each picture with what was said of it on its right."""
    pairs = zip(digits.inputs, digits.targets, answers, strict=True)
    return "\n\n".join(_beside(draw(image, colour=colour), _lines(int(label), said)) for image, label, said in pairs)


def write_request(folder: Path, image: NDArray[np.float32]) -> Path:
    """Write a picture as a request file for `tritonctl infer` and curl; returns its path."""
    folder.mkdir(exist_ok=True)
    data = [round(float(value), 4) for value in image.reshape(-1)]
    tensor = {"name": INPUT, "shape": list(image.shape), "datatype": data_type(image, INPUT), "data": data}
    path = folder / "digit.json"
    path.write_text(json.dumps({"inputs": [tensor]}))
    return path


def _lines(label: int, said: Answers) -> list[str]:
    verdict = "right" if said.http.digit == label else f"wrong: a person wrote {label}"
    return [
        f"This is a {said.http.digit}  ({said.http.probability:.1%} sure, {verdict})",
        "",
        f"HTTP  {said.http.digit}  {said.http.milliseconds:5.1f} ms",
        f"gRPC  {said.grpc.digit}  {said.grpc.milliseconds:5.1f} ms",
    ]


def _beside(picture: str, text: list[str]) -> str:
    rows = picture.splitlines()
    above = (len(rows) - len(text)) // 2
    padded = [""] * above + text + [""] * (len(rows) - len(text) - above)
    return "\n".join(f"  {row}   {words}".rstrip() for row, words in zip(rows, padded, strict=True))
