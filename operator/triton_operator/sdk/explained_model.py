"""A served model in the form that `explain` needs: rows in, one number or array of numbers per row out.

Input: a function that sends inference requests, the model's interface, and the row to explain. Output: `predict`, the
explained row, and notes on what the numbers mean. `explanation` calls it.

Some models return only their most probable label and its probability (LABEL and PROBABILITY of a text ensemble). If a
response has another label than the explained one, 1 - its probability is used, which is exact for two labels. A token
classifier has a label for each token, and may have no token at the explained position: 0 is used there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from triton_operator.explain.types import Array, Floats
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.interface import ModelInterface, TensorInterface

SendRequest = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Sends one inference request: arrays by input name in, arrays by output name out."""

_MAX_ROWS = 64
"""Rows per request; the client splits them further for a model with a smaller batch size."""
_MAX_BYTES = 8 << 20
"""Bytes per request, which limits the rows of large images."""
_MOST_PROBABLE = "the model returns only its most probable label; for any other label, 1 - its probability is used"
_MORE_LABELS = "that is more than the probability of the explained label, because there are more labels: {}"
_LABEL_SEQUENCE = "the model returns only the most probable label of each token; for any other label, 0 is used"
_ONE_NUMERIC = "of the outputs {0} only {1} is numeric"
_FIRST_NUMERIC = "of the outputs {0} the first numeric one, {1}, is explained; --output-name selects another"
_TWO_LABELS = 2
"""With two labels, the probability of one is exactly 1 - that of the other."""


class ExplainedModel:
    """`row` is what `infer` accepts, prepared: one row for each input. `input_name` and `output_name` may be empty.

    `target` is the output number or label to explain; raises InvalidRequestError if an argument does not fit the model.
    """

    def __init__(
        self,
        send: SendRequest,
        interface: ModelInterface,
        row: Mapping[str, Array],
        *,
        input_name: str,
        output_name: str,
        target: object,
    ) -> None:
        self._send = send
        self._interface = interface
        self._inputs = row
        self._input = _select_input(interface, row, input_name)
        self._batched = interface.takes_rows
        self._output_name = output_name
        self._numeric, self._label = _select_outputs(interface, output_name)
        self._target = target if isinstance(target, str) else ""
        self._labels: Array | None = None
        self._seen: set[str] = set()
        self.row = _explained_row(row, self._input.name, batched=self._batched)

    @property
    def batch_size(self) -> int:
        """Rows to pass to `predict` at a time."""
        row_bytes = sum(array.nbytes for array in self._inputs.values())
        return max(1, min(_MAX_ROWS, _MAX_BYTES // max(row_bytes, 1)))

    @property
    def output(self) -> str:
        """The name of the explained output."""
        return self._numeric

    @property
    def has_labels(self) -> bool:
        """Whether each response is a label with its probability."""
        return bool(self._label)

    def predict(self, rows: Array) -> Array:
        """Return one value per row. A model without a batch dimension gets a request for each row."""
        parts = [rows] if self._batched else [rows[index : index + 1] for index in range(len(rows))]
        return np.concatenate([self._predict(part) for part in parts])

    def label(self, target: tuple[int, ...]) -> str:
        """Return the explained label, "" without labels; raises InvalidRequestError if no response had it."""
        if self._labels is None:
            return ""
        label = str(self._labels[target])
        if label not in self._seen:
            raise InvalidRequestError(
                "target", f"no response had the label {label!r}; they had {', '.join(sorted(self._seen))}"
            )
        return label

    def notes(self) -> tuple[str, ...]:
        """Return notes on the output and its labels for readers of the explanation."""
        return (*self._notes_on_output(), *self._notes_on_labels())

    def _notes_on_output(self) -> tuple[str, ...]:
        outputs = self._interface.outputs
        if self._output_name or len(outputs) == 1:
            return ()
        note = _FIRST_NUMERIC if len(_numeric_outputs(self._interface)) > 1 else _ONE_NUMERIC
        return (note.format(", ".join(tensor.name for tensor in outputs), self._numeric),)

    def _notes_on_labels(self) -> tuple[str, ...]:
        if self._labels is None:
            return ()
        if self._labels.size > 1:
            return (_LABEL_SEQUENCE,)
        more = (_MORE_LABELS.format(", ".join(sorted(self._seen))),) if len(self._seen) > _TWO_LABELS else ()
        return (_MOST_PROBABLE, *more)

    def _predict(self, rows: Array) -> Floats:
        name, shape = self._input.name, self._inputs[self._input.name].shape
        others = {
            other: np.repeat(array, len(rows), axis=0) if self._batched else array
            for other, array in self._inputs.items()
            if other != name
        }
        outputs = self._send({name: rows.reshape((len(rows), *shape[1:]) if self._batched else shape), **others})
        numbers = _output(outputs, self._numeric).astype(np.float64)
        numbers = numbers if self._batched else numbers[None]
        return self._probabilities(numbers, outputs) if self._label else numbers

    def _probabilities(self, numbers: Floats, outputs: Mapping[str, Array]) -> Floats:
        """Return the probabilities of the target label, or else of the labels predicted for the unmasked row."""
        texts = _output(outputs, self._label).reshape(numbers.shape)
        labels = np.array([_text(each) for each in texts.reshape(-1)], dtype=np.object_).reshape(texts.shape)
        self._seen.update(labels.reshape(-1).tolist())
        if self._labels is None:
            self._labels = np.full_like(labels[0], self._target) if self._target else labels[0]
        others = 1 - numbers if self._labels.size == 1 else np.zeros_like(numbers)
        return np.where(labels == self._labels, numbers, np.where(labels == "", 0, others))


def _select_input(interface: ModelInterface, row: Mapping[str, Array], name: str) -> TensorInterface:
    """Return the input to explain: the named one, or the only one."""
    candidates = [tensor for tensor in interface.inputs if tensor.name in row and name in {"", tensor.name}]
    if len(candidates) != 1:
        names = ", ".join(tensor.name for tensor in interface.inputs)
        raise InvalidRequestError("input", f"{interface.model} has the inputs {names}; name the one to explain")
    return candidates[0]


def _explained_row(row: Mapping[str, Array], name: str, *, batched: bool) -> Array | str:
    """Return the row without its batch dimension, or its text."""
    for other, array in row.items():
        if batched and len(array) != 1:
            raise InvalidRequestError(f"inputs[{other!r}]", f"has {len(array)} rows; one is explained at a time")
    array = row[name]
    if array.dtype == np.object_:
        if array.size != 1:
            raise InvalidRequestError(f"inputs[{name!r}]", f"has {array.size} texts; one is explained at a time")
        return _text(array.reshape(-1)[0])
    return array[0] if batched else array


def _select_outputs(interface: ModelInterface, name: str) -> tuple[str, str]:
    """Return the output to explain (the named or first numeric one), and the output with its labels or ""."""
    candidates = [tensor for tensor in _numeric_outputs(interface) if name in {"", tensor.name}]
    if not candidates:
        names = ", ".join(f"{tensor.name} ({tensor.shown})" for tensor in interface.outputs)
        problem = f"{name} is not a numeric output" if name else "none is numeric"
        raise InvalidRequestError("output", f"{interface.model} has the outputs {names}; {problem}")
    first = candidates[0]
    labels = [
        tensor.name
        for tensor in interface.outputs
        if tensor.datatype == "BYTES" and tensor.shape == first.shape and "LABEL" in tensor.name.upper()
    ]
    return first.name, labels[0] if labels else ""


def _numeric_outputs(interface: ModelInterface) -> list[TensorInterface]:
    return [tensor for tensor in interface.outputs if tensor.datatype not in {"BYTES", "BOOL"}]


def _output(outputs: Mapping[str, Array], name: str) -> Array:
    if name not in outputs:
        raise InvalidRequestError("output", f"the response lacks {name}; it has {', '.join(outputs)}")
    return outputs[name]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
