"""The model that masks texts inside Triton: TEXT in, MASKED out, both STRING of the same shape.

The folder that `tritonctl mask-model` writes runs this class in Triton's Python backend. The configuration has the
actions as parameters. The step counts what it masked, by type, in the metric `masked_total`, and writes the counts to
Triton's log at the level Info. It never logs a text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from triton_operator.masking.actions import MaskingAction, read_key
from triton_operator.masking.kinds import PersonalDataKind
from triton_operator.masking.masker import Masker

INPUT = "TEXT"
OUTPUT = "MASKED"
ACTIONS = "actions"
"""Parameter: a JSON object of types and actions."""
KEY_FILE = "key_file"
"""Parameter: the key of the action `hash`: an absolute path, or one relative to the version folder of the model."""
METRIC = "masked_total"


class TritonPythonModel:
    """One instance of the step; Triton creates it."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the configuration, the key and the dictionaries; an error prevents the model from loading."""
        import triton_python_backend_utils as pb

        self._pb = pb
        self._name = args["model_name"]
        folder = Path(args["model_repository"]) / args["model_version"]
        self._masker = masker(json.loads(args["model_config"]).get("parameters", {}), folder)
        self._masker.load()
        self._totals: Counter[str] = Counter()
        self._metrics = _MaskingMetrics(pb, self._name)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Mask the texts of each request; a text that is not UTF-8 fails its own request."""
        counts: Counter[str] = Counter()
        responses = [self._answer(request, counts) for request in requests]
        self._totals.update(counts)
        self._metrics.add(counts)
        if counts:
            self._pb.Logger.log_info(f"{self._name} masked {summary(counts)}")
        return responses

    def finalize(self) -> None:
        """Log the total counts."""
        self._pb.Logger.log_info(f"{self._name} masked in total {summary(self._totals) or 'nothing'}")

    def _answer(self, request: Any, counts: Counter[str]) -> Any:
        texts = self._pb.get_input_tensor_by_name(request, INPUT).as_numpy()
        masked = np.empty(texts.shape, dtype=np.object_)
        for place, text in np.ndenumerate(texts):
            try:
                outcome = self._masker.mask(text.decode())
            except UnicodeDecodeError:
                wrong = self._pb.TritonError(f"input '{INPUT}': text is not UTF-8", self._pb.TritonError.INVALID_ARG)
                return self._pb.InferenceResponse(error=wrong)
            masked[place] = outcome.text.encode()
            counts.update(outcome.counts)
        return self._pb.InferenceResponse([self._pb.Tensor(OUTPUT, masked)])


class _MaskingMetrics:
    """A counter for each type in Triton's metrics; absent where Triton has no metrics of models."""

    def __init__(self, pb: Any, model: str) -> None:
        family = getattr(pb, "MetricFamily", None)
        self._counters: dict[str, Any] = {}
        if family is not None:
            self._family = family(
                name=METRIC, description="Parts of texts that were masked, by type.", kind=family.COUNTER
            )
            self._counters = {
                kind: self._family.Metric(labels={"model": model, "type": kind}) for kind in PersonalDataKind
            }

    def add(self, counts: Counter[str]) -> None:
        for kind, count in counts.items():
            if kind in self._counters:
                self._counters[kind].increment(count)


def masker(parameters: Mapping[str, Mapping[str, str]], folder: Path) -> Masker:
    """Return the masker of a configuration, of a model version in `folder`; raises MaskingError without a key."""
    values = {name: each["string_value"] for name, each in parameters.items()}
    actions = {PersonalDataKind(kind): MaskingAction(action) for kind, action in json.loads(values[ACTIONS]).items()}
    key = read_key(folder / values[KEY_FILE]) if MaskingAction.HASH in actions.values() else b""
    return Masker(actions, key=key)


def summary(counts: Counter[str]) -> str:
    """Return counts as text: `NAME 2, PHONE 1`."""
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
