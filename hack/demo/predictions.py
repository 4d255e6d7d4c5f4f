"""The predictions of handwritten digits, formatted for the terminal, and a request as a file.

Pure except for the file. Input: the responses of the server, and images [1, 28, 28], float32 from 0 to 1. Output: the
digit, its probability and the latency for each protocol.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.dataset import Part
from training.picture import draw
from triton_operator.sdk import Prediction
from triton_operator.sdk.tensors import data_type

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
