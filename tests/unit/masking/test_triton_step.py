"""The masking model inside Triton, with a replacement of Triton's Python module."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from triton_operator.masking import MaskingError
from triton_operator.masking.triton_step import TritonPythonModel

TEXTS = [["我叫林晓东"], ["tel 13912345678"], ["nothing"]]


@dataclass
class TritonError:
    """Triton's error."""

    message: str
    code: int
    INVALID_ARG: ClassVar[int] = 3


def _ignore(_self: object, **_about: object) -> None:
    """Create a family of metrics."""


class FakeTriton(ModuleType):
    """Records logs and metrics."""

    def __init__(self, *, metrics: bool = True) -> None:
        super().__init__("triton_python_backend_utils")
        self.logs: list[str] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.Logger = SimpleNamespace(log_info=self.logs.append)
        self.InferenceResponse = lambda tensors=(), error=None: SimpleNamespace(tensors=tensors, error=error)
        self.Tensor = lambda name, values: SimpleNamespace(name=name, values=values)
        self.TritonError = TritonError
        self.get_input_tensor_by_name = lambda request, name: SimpleNamespace(as_numpy=lambda: request[name])
        if metrics:
            self.MetricFamily = type("MetricFamily", (), {"COUNTER": 0, "__init__": _ignore, "Metric": self._metric})

    def _metric(self, *, labels: dict[str, str]) -> Any:
        key = (labels["model"], labels["type"])
        return SimpleNamespace(increment=lambda count: self.counts.update({key: count}))


def loaded(
    triton: FakeTriton,
    monkeypatch: pytest.MonkeyPatch,
    actions: dict[str, str],
    repository: Path = Path("mask"),
    **parameters: str,
) -> TritonPythonModel:
    """Return the model as Triton loads it."""
    monkeypatch.setitem(sys.modules, triton.__name__, triton)
    values = {"actions": json.dumps(actions), **parameters}
    config = {"parameters": {name: {"string_value": value} for name, value in values.items()}}
    model = TritonPythonModel()
    place = {"model_repository": str(repository), "model_version": "1"}
    model.initialize({"model_name": "mask", "model_config": json.dumps(config), **place})
    return model


def request(texts: list[list[Any]]) -> dict[str, Any]:
    return {
        "TEXT": np.array([[t.encode() if isinstance(t, str) else t for t in row] for row in texts], dtype=np.object_)
    }


def test_texts_keep_their_shape_and_only_counts_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    triton = FakeTriton()
    model = loaded(triton, monkeypatch, {"NAME": "replace", "PHONE": "mask"})
    first, second = model.execute([request(TEXTS), request([["x", "tel 13912345678"]])])
    model.finalize()
    (tensor,) = first.tensors
    assert (tensor.name, tensor.values.tolist()) == (
        "MASKED",
        [["我叫<NAME>".encode()], [b"tel ***********"], [b"nothing"]],
    )
    assert second.tensors[0].values.tolist() == [[b"x", b"tel ***********"]]
    assert triton.counts == {("mask", "NAME"): 1, ("mask", "PHONE"): 2}
    assert triton.logs == ["mask masked NAME 1, PHONE 2", "mask masked in total NAME 1, PHONE 2"]


def test_a_text_that_is_not_utf_8_fails_its_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(FakeTriton(), monkeypatch, {"NAME": "replace"})
    wrong, right = model.execute([request([[b"\xff"]]), request([["ok"]])])
    assert (wrong.error.message, wrong.tensors) == ("input 'TEXT': text is not UTF-8", ())
    assert right.tensors[0].values.tolist() == [[b"ok"]]


def test_a_server_without_metrics_masks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(FakeTriton(metrics=False), monkeypatch, {"PHONE": "replace"})
    assert model.execute([request(TEXTS)])[0].tensors[0].values[1].tolist() == [b"tel <PHONE>"]


@pytest.mark.parametrize("absolute", [True, False])
def test_the_key_of_hashes_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, absolute: bool
) -> None:
    """A relative path begins at the version folder. Without the file, the model does not load."""
    key = tmp_path / "1" / "hash.key"
    name = str(key) if absolute else key.name
    with pytest.raises(MaskingError, match="No such file"):
        loaded(FakeTriton(), monkeypatch, {"PHONE": "hash"}, tmp_path, key_file=name)
    key.parent.mkdir()
    key.write_bytes(b"0123456789abcdef")
    model = loaded(FakeTriton(), monkeypatch, {"PHONE": "hash"}, tmp_path, key_file=name)
    assert model.execute([request(TEXTS)])[0].tensors[0].values[1][0].startswith(b"tel <PHONE:")
