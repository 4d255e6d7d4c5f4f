"""Explanations of a served model's predictions: the methods of `triton_operator.explain`, through a client.

Input: a function that sends inference requests, the model's interface, and one row. Output: an Explanation. Both
clients call `explain_through`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypedDict

from triton_operator.explain import Explanation, ExplanationError, ExplanationRequest, Method, explain
from triton_operator.explain.types import Array, Progress
from triton_operator.sdk.errors import InvalidRequestError
from triton_operator.sdk.explained_model import ExplainedModel, SendRequest
from triton_operator.sdk.inputs import prepare_inputs
from triton_operator.sdk.interface import ModelInterface
from triton_operator.sdk.prediction import Prediction

Infer = Callable[[Mapping[str, Array]], Coroutine[Any, Any, Prediction]]
"""Like `SendRequest`, but asynchronous."""


class ExplainOptions(TypedDict, total=False):
    """Options of `Client.explain`; the first seven are those of `explain.ExplanationRequest`, with its defaults.

    `input` names the input to explain if the model has several; the others keep their values. `output` names the output
    to explain, by default the first numeric one. `progress` is called with the rows done and the rows in total.
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
    cancelled = threading.Event()

    def send(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if cancelled.is_set():
            raise asyncio.CancelledError
        return asyncio.run_coroutine_threadsafe(infer(inputs), loop).result().outputs

    try:
        return await asyncio.to_thread(explain_served, send, interface, row, method, options)
    finally:
        cancelled.set()


def explain_served(
    send: SendRequest, interface: ModelInterface, row: Any, method: Method | str, options: ExplainOptions
) -> Explanation:
    """Explain the model's output for one row; raises InvalidRequestError, and what `send` raises.

    `row` is what `infer` accepts: one row for a model with one input, or a mapping from input name to one row.
    """
    settings = dict(options)
    input_name, output_name = str(settings.pop("input", "")), str(settings.pop("output", ""))
    progress: Any = settings.pop("progress", None)
    request = _explanation_request(method, settings)
    model = ExplainedModel(
        send,
        interface,
        prepare_inputs(interface, row),
        input_name=input_name,
        output_name=output_name,
        target=request.target,
    )
    if isinstance(request.target, str) and model.has_labels:
        request = dataclasses.replace(request, target=None)
    try:
        explanation = explain(model.predict, model.row, request, batch=model.batch_size, progress=progress)
    except ExplanationError as error:
        raise InvalidRequestError(error.field, error.message) from error
    return dataclasses.replace(
        explanation,
        model=interface.model,
        label=model.label(explanation.target),
        output=model.output,
        outputs=tuple(tensor.name for tensor in interface.outputs),
        notes=(*explanation.notes, *model.notes()),
    )


def _explanation_request(method: Method | str, settings: Mapping[str, Any]) -> ExplanationRequest:
    try:
        return ExplanationRequest(method=Method(method), **settings)
    except ValueError as error:
        raise InvalidRequestError("method", f"{method!r} is not one of {', '.join(Method)}") from error
    except TypeError as error:
        unknown = ", ".join(sorted(set(settings) - ExplainOptions.__optional_keys__))
        raise InvalidRequestError("explain", f"has no option {unknown}") from error
