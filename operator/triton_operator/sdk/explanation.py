"""Which parts of an input drove a prediction of a served model: the methods of `explain`, asked through a client.

Input: a way to ask the model, what it declares, and one row. Output: an Explanation. Both clients call it.

A model that answers with labels and how probable each is (LABEL and PROBABILITY of a text ensemble) names only the
likeliest one. Where it names another one than the explained label, 1 - its probability is counted for that label, which
is exact where there are two. Taggers, which label each token, have many labels, and may have no token in the explained
place: there the explained label counts 0.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from triton_operator.explain import Explanation, ExplanationError, Method, Question, explain
from triton_operator.explain.types import Array, Floats, Progress
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.inputs import prepare_inputs
from triton_operator.sdk.interface import ModelInterface, TensorInterface
from triton_operator.sdk.prediction import Prediction

Ask = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Arrays by input name, with as many rows as wanted, in; arrays by output name out."""

Infer = Callable[[Mapping[str, Array]], Coroutine[Any, Any, Prediction]]
"""As `Ask`, but asynchronous: one inference request to the model that is explained."""

_MOST_ROWS = 64
"""Rows asked at a time; the client divides them further where the model takes fewer."""
_MOST_BYTES = 8 << 20
"""Of one such request: large pictures go in smaller ones."""
_ONLY_LIKELIEST = "the model names only its likeliest label; where that is another one, 1 - its probability is counted"
_SEVERAL_LABELS = "that is more than the label's own probability, because there are others: {}"
_ONE_HAS_NUMBERS = "of the outputs {0} only {1} has numbers"
_FIRST_OF_SEVERAL = "of the outputs {0} the first with numbers is explained; --output-name chooses another than {1}"
_EITHER = 2
"""Labels of which one's probability is 1 - the other's."""
_OF_TOKENS = "the model names only each token's likeliest label; where that is another one, 0 is counted"


class ExplainOptions(TypedDict, total=False):
    """What may be said beside the row; `explain.Question` has each of the first seven, and its default.

    `input` names the input that is explained where the model has several: the others stay as they are. `output` names
    the output; without it that is the first one with numbers. `progress` is told rows answered and rows in all.
    """

    target: int | tuple[int, ...] | str | None
    baseline: str | float | Array | None
    background: Array | None
    samples: int
    seed: int
    patch: int
    names: Sequence[str]
    input: str
    output: str
    progress: Progress | None


async def explain_through(
    infer: Infer, interface: ModelInterface, row: Any, method: Method | str, options: ExplainOptions
) -> Explanation:
    """Run the method in a thread and its requests in this event loop; cancelling the task stops the requests, too."""
    loop = asyncio.get_running_loop()
    given_up = threading.Event()

    def ask(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if given_up.is_set():
            raise asyncio.CancelledError
        return asyncio.run_coroutine_threadsafe(infer(inputs), loop).result().outputs

    try:
        return await asyncio.to_thread(explain_served, ask, interface, row, method, options)
    finally:
        given_up.set()


def explain_served(
    ask: Ask, interface: ModelInterface, row: Any, method: Method | str, options: ExplainOptions
) -> Explanation:
    """Explain the model's answer to one row; raises InvalidRequestError, and whatever `ask` raises.

    `row` is what `infer` takes: one row for the model's one input, or a mapping of input names to one row each.
    """
    asked = dict(options)
    wanted_input, wanted_output = str(asked.pop("input", "")), str(asked.pop("output", ""))
    progress: Any = asked.pop("progress", None)
    question = _question(method, asked)
    served = _Served(ask, interface, prepare_inputs(interface, row), wanted_input, wanted_output, question.target)
    if isinstance(question.target, str) and served.labelled:
        question = dataclasses.replace(question, target=None)
    try:
        found = explain(served.predict, served.row, question, batch=served.batch, progress=progress)
    except ExplanationError as error:
        raise InvalidRequestError(error.field, error.message) from error
    return dataclasses.replace(
        found,
        model=interface.model,
        label=served.label(found.target),
        output=served.output,
        outputs=tuple(tensor.name for tensor in interface.outputs),
        notes=(*found.notes, *_note_on_output(interface, served.output, wanted_output), *served.notes()),
    )


def _question(method: Method | str, asked: Mapping[str, Any]) -> Question:
    try:
        return Question(method=Method(method), **asked)
    except ValueError as error:
        raise InvalidRequestError("method", f"{method!r} is not one of {', '.join(Method)}") from error
    except TypeError as error:
        unknown = ", ".join(sorted(set(asked) - ExplainOptions.__optional_keys__))
        raise InvalidRequestError("explain", f"has no option {unknown}") from error


class _Served:
    """A served model as the methods want it: rows in, numbers out."""

    def __init__(
        self,
        ask: Ask,
        interface: ModelInterface,
        arrays: Mapping[str, Array],
        wanted_input: str,
        wanted_output: str,
        target: object,
    ) -> None:
        self._ask = ask
        self._arrays = arrays
        self._explained = _explained_input(interface, arrays, wanted_input)
        self._by_rows = interface.takes_rows
        self._number, self._label = _answer_of(interface, wanted_output)
        self._target = target if isinstance(target, str) else ""
        self._labels: Array | None = None
        self._seen: set[str] = set()
        self.row = _row(arrays, self._explained.name, by_rows=self._by_rows)

    @property
    def batch(self) -> int:
        """Rows to ask at a time."""
        size = sum(array.nbytes for array in self._arrays.values())
        return max(1, min(_MOST_ROWS, _MOST_BYTES // max(size, 1)))

    @property
    def output(self) -> str:
        """The output that is explained."""
        return self._number

    @property
    def labelled(self) -> bool:
        """Whether answers are labels with a probability."""
        return bool(self._label)

    def predict(self, rows: Array) -> Array:
        """One answer per row; a model without a batch gets a request for each."""
        parts = [rows] if self._by_rows else [rows[at : at + 1] for at in range(len(rows))]
        return np.concatenate([self._predict(part) for part in parts])

    def label(self, target: tuple[int, ...]) -> str:
        """What the model calls the explained number; raises InvalidRequestError for a label that it never said."""
        if self._labels is None:
            return ""
        label = str(self._labels[target])
        if label not in self._seen:
            raise InvalidRequestError(
                "target", f"no answer had the label {label!r}; they had {', '.join(sorted(self._seen))}"
            )
        return label

    def notes(self) -> tuple[str, ...]:
        """What a reader of the result must know."""
        if self._labels is None:
            return ()
        if self._labels.size > 1:
            return (_OF_TOKENS,)
        several = (_SEVERAL_LABELS.format(", ".join(sorted(self._seen))),) if len(self._seen) > _EITHER else ()
        return (_ONLY_LIKELIEST, *several)

    def _predict(self, rows: Array) -> Floats:
        name, shape = self._explained.name, self._arrays[self._explained.name].shape
        wanted = (len(rows), *shape[1:]) if self._by_rows else shape
        others = {
            each: np.repeat(array, len(rows), axis=0) if self._by_rows else array
            for each, array in self._arrays.items()
            if each != name
        }
        outputs = self._ask({name: rows.reshape(wanted), **others})
        numbers = _output(outputs, self._number).astype(np.float64)
        numbers = numbers if self._by_rows else numbers[None]
        return self._of_label(numbers, outputs) if self._label else numbers

    def _of_label(self, numbers: Floats, outputs: Mapping[str, Array]) -> Floats:
        """Probabilities of the labels that the row itself has, or of the one that is asked for."""
        texts = _output(outputs, self._label).reshape(numbers.shape)
        labels = np.array([_text(each) for each in texts.reshape(-1)], dtype=np.object_).reshape(texts.shape)
        self._seen.update(labels.reshape(-1).tolist())
        if self._labels is None:
            self._labels = np.full_like(labels[0], self._target) if self._target else labels[0]
        others = 1 - numbers if self._labels.size == 1 else np.zeros_like(numbers)
        return np.where(labels == self._labels, numbers, np.where(labels == "", 0, others))


def _explained_input(interface: ModelInterface, arrays: Mapping[str, Array], wanted: str) -> TensorInterface:
    given = [tensor for tensor in interface.inputs if tensor.name in arrays]
    if wanted:
        given = [tensor for tensor in given if tensor.name == wanted]
    if len(given) != 1:
        names = ", ".join(tensor.name for tensor in interface.inputs)
        raise InvalidRequestError("input", f"{interface.model} takes {names}; name the one to explain")
    return given[0]


def _row(arrays: Mapping[str, Array], explained: str, *, by_rows: bool) -> Array | str:
    """The explained row without its batch, or its text."""
    for name, array in arrays.items():
        if by_rows and len(array) != 1:
            raise InvalidRequestError(f"inputs[{name!r}]", f"has {len(array)} rows; one is explained at a time")
    array = arrays[explained]
    if array.dtype == np.object_:
        if array.size != 1:
            raise InvalidRequestError(f"inputs[{explained!r}]", f"has {array.size} texts; one is explained at a time")
        return _text(array.reshape(-1)[0])
    return array[0] if by_rows else array


def _answer_of(interface: ModelInterface, wanted: str) -> tuple[str, str]:
    """The output that is explained, and the output with its labels, empty where there is none."""
    numbers = _with_numbers(interface)
    if wanted:
        numbers = [tensor for tensor in numbers if tensor.name == wanted]
    if not numbers:
        names = ", ".join(f"{tensor.name} ({tensor.shown})" for tensor in interface.outputs)
        raise InvalidRequestError("output", f"{interface.model} answers with {names}; {wanted or 'none'} has numbers")
    first = numbers[0]
    labels = [each for each in interface.outputs if each.datatype == "BYTES" and each.shape == first.shape]
    named = [each for each in labels if "LABEL" in each.name.upper()]
    return first.name, named[0].name if named else ""


def _with_numbers(interface: ModelInterface) -> list[TensorInterface]:
    return [tensor for tensor in interface.outputs if tensor.datatype not in {"BYTES", "BOOL"}]


def _note_on_output(interface: ModelInterface, taken: str, wanted: str) -> tuple[str, ...]:
    """Which of several outputs was taken, where the caller named none, and how to choose another."""
    if wanted or len(interface.outputs) == 1:
        return ()
    note = _FIRST_OF_SEVERAL if len(_with_numbers(interface)) > 1 else _ONE_HAS_NUMBERS
    return (note.format(", ".join(tensor.name for tensor in interface.outputs), taken),)


def _output(outputs: Mapping[str, Array], name: str) -> Array:
    if name not in outputs:
        raise InvalidRequestError("output", f"{name} was not answered; {', '.join(outputs)} were")
    return outputs[name]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
