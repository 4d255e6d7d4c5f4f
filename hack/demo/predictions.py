"""Send images of handwritten digits to a server, and format its predictions for the terminal.

Input: images [1, 28, 28], float32 from 0 to 1. Output: the digit, its probability and the latency for each protocol.
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
class DigitPrediction:
    """The prediction for one image over one protocol; `milliseconds` is the latency of the request."""

    digit: int
    probability: float
    milliseconds: float


@dataclass(frozen=True)
class ProtocolPredictions:
    """The predictions for one image over both protocols."""

    http: DigitPrediction
    grpc: DigitPrediction


class Prober:
    """HTTP and gRPC connections to a deployment's Service; use it as a context manager."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._open = ExitStack()
        self._clients: dict[Protocol, Client] = {}

    def __enter__(self) -> Self:
        """Connect, and send a blank image over each connection, so that the first measured request is not slower."""
        for protocol in Protocol:
            reach = self._cluster.reach(self._namespace, self._name, protocol.value)
            client = Client(self._name, protocol=protocol, url=self._open.enter_context(reach))
            self._clients[protocol] = self._open.enter_context(client)
            client.infer(MODEL, {INPUT: np.zeros((1, 1, SIDE, SIDE), np.float32)})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both connections."""
        self._open.close()

    def predict(self, image: NDArray[np.float32]) -> ProtocolPredictions:
        """Send one image over each protocol."""
        results = {protocol: client.infer(MODEL, {INPUT: image[None]}) for protocol, client in self._clients.items()}
        return ProtocolPredictions(likeliest_digit(results[Protocol.HTTP]), likeliest_digit(results[Protocol.GRPC]))


def likeliest_digit(prediction: Prediction) -> DigitPrediction:
    """The digit with the highest probability."""
    probabilities = prediction.outputs[OUTPUT].reshape(-1)
    digit = int(probabilities.argmax())
    return DigitPrediction(digit, float(probabilities[digit]), prediction.seconds * 1000)


def show_predictions(digits: Part, predictions: list[ProtocolPredictions], *, colour: bool) -> str:
    """Each image with its predictions to the right."""
    rows = zip(digits.inputs, digits.targets, predictions, strict=True)
    return "\n\n".join(_in_columns(draw(image, colour=colour), _lines(int(label), each)) for image, label, each in rows)


def write_request(folder: Path, image: NDArray[np.float32]) -> Path:
    """Write an image as a request file for `tritonctl infer` and curl; returns its path."""
    folder.mkdir(exist_ok=True)
    data = [round(float(value), 4) for value in image.reshape(-1)]
    tensor = {"name": INPUT, "shape": list(image.shape), "datatype": data_type(image, INPUT), "data": data}
    path = folder / "digit.json"
    path.write_text(json.dumps({"inputs": [tensor]}))
    return path


def _lines(label: int, predicted: ProtocolPredictions) -> list[str]:
    verdict = "correct" if predicted.http.digit == label else f"wrong, label is {label}"
    return [
        f"Prediction: {predicted.http.digit}  (probability {predicted.http.probability:.1%}, {verdict})",
        "",
        f"HTTP  {predicted.http.digit}  {predicted.http.milliseconds:5.1f} ms",
        f"gRPC  {predicted.grpc.digit}  {predicted.grpc.milliseconds:5.1f} ms",
    ]


def _in_columns(picture: str, text: list[str]) -> str:
    rows = picture.splitlines()
    above = (len(rows) - len(text)) // 2
    padded = [""] * above + text + [""] * (len(rows) - len(text) - above)
    return "\n".join(f"  {row}   {words}".rstrip() for row, words in zip(rows, padded, strict=True))
