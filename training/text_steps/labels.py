"""Scores become an answer: the last step of the text ensembles.

SCORES FP32 in, the probabilities of the labels in the last dimension: [labels] for a whole text, [tokens, labels] for
each token of it; a single one is the probability of the second of two labels. LABEL STRING and PROBABILITY FP32 out,
[1] or [tokens]: the most probable label, and how probable it is. With the optional input TOKENS STRING [tokens], "" and
0 stand where there is no token. Beside this file lies labels.txt, a label on each line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def choose(scores: NDArray[np.float32], labels: Sequence[str]) -> tuple[NDArray[np.object_], NDArray[np.float32]]:
    """Give the most probable label of each row (or token) as UTF-8, and its probability."""
    if scores.shape[-1] == 1:
        scores = np.concatenate([1 - scores, scores], axis=-1)
    best = scores.argmax(axis=-1)
    names = np.array([label.encode() for label in labels], dtype=np.object_)
    probabilities = np.take_along_axis(scores, best[..., None], axis=-1)[..., 0]
    shape = (len(scores), -1) if len(scores) else (0, 1)
    return names[best].reshape(shape), probabilities.reshape(shape).astype(np.float32)


class TritonPythonModel:
    """One instance of the step; Triton makes it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the labels."""
        import triton_python_backend_utils as pb

        self._pb = pb
        path = Path(args["model_repository"]) / args["model_version"] / "labels.txt"
        self._labels = path.read_text(encoding="utf-8").splitlines()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        labels, probabilities = choose(self._pb.get_input_tensor_by_name(request, "SCORES").as_numpy(), self._labels)
        tokens = self._pb.get_input_tensor_by_name(request, "TOKENS")
        if tokens is not None:
            missing = tokens.as_numpy() == b""
            labels[missing], probabilities[missing] = b"", 0
        return self._pb.InferenceResponse(
            [self._pb.Tensor("LABEL", labels), self._pb.Tensor("PROBABILITY", probabilities)]
        )
