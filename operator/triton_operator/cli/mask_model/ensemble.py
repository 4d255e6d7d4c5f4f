"""Put the masking model in front of another model: an ensemble in which only masked text reaches it.

Input: a repository and the name of a model in it. Output: the configuration of the ensemble, and the shape of the
texts. If the model is an ensemble itself, its steps are repeated instead of calling it. It then need not be served, and
no client can call it with text that is not masked.
"""

from __future__ import annotations

from pathlib import Path

from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.mask_model.folder import Texts
from triton_operator.masking.triton_step import INPUT, OUTPUT
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.model import resolve_model
from triton_operator.prepare.repository import Repository
from triton_operator.triton.config.constants import CONFIG_NAME
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.prepare_contract.request import PreparationModel
from triton_operator.triton.text.parser import Message, Value, parse
from triton_operator.triton.text.values import data_type_in, integer_in, integers_in, message_in, messages_in, text_in


def read_model(repository: Path, name: str) -> Message:
    """Return the complete configuration of a model; raises CommandFailedError if there is none."""
    try:
        checked = resolve_model(Repository(repository, "/"), PreparationModel(name, name))
        return parse(checked.config or read_config_text(repository / name / CONFIG_NAME))
    except PrepareError as error:
        raise CommandFailedError(f"{repository / name}: {error}") from error


def texts_of(name: str, config: Message) -> Texts:
    """Return the shape of the model's texts; raises CommandFailedError if it has none, or several shapes."""
    inputs = [each for each in messages_in(config, "input") if data_type_in(each) == "STRING"]
    shapes = {tuple(integers_in(each, "dims")) for each in inputs}
    if len(shapes) != 1:
        found = "inputs of several shapes" if shapes else "no input of type STRING"
        raise CommandFailedError(f"{name} has {found}; the masking model masks texts of one shape")
    return Texts(integer_in(config, "max_batch_size"), shapes.pop())


def ensemble_of(name: str, config: Message, mask: str, called: str) -> Message:
    """Return the configuration of the ensemble `name`, which masks the texts of the model `called`."""
    texts = [text_in(each, "name") for each in messages_in(config, "input") if data_type_in(each) == "STRING"]
    masked = {text: f"masked_{text}" for text in texts}
    first = [_step(mask, {INPUT: text}, {OUTPUT: masked[text]}) for text in texts]
    rest = messages_in(message_in(config, "ensemble_scheduling"), "step") or [_call(called, config)]
    return {
        "name": [name],
        "platform": ["ensemble"],
        "max_batch_size": [integer_in(config, "max_batch_size")],
        "input": [_tensor(each) for each in messages_in(config, "input")],
        "output": [_tensor(each) for each in messages_in(config, "output")],
        "ensemble_scheduling": [{"step": [*first, *(_with_masked_inputs(each, masked) for each in rest)]}],
    }


def steps_of(config: Message) -> list[str]:
    """Return the models that an ensemble calls, each once."""
    steps = messages_in(message_in(config, "ensemble_scheduling"), "step")
    return list(dict.fromkeys(text_in(step, "model_name") for step in steps))


def _tensor(tensor: Message) -> Message:
    """Return a tensor as an ensemble has it; what concerns only the model itself is left out."""
    return {field: values for field, values in tensor.items() if field in {"name", "data_type", "dims"}}


def _call(model: str, config: Message) -> Message:
    """Return a step whose tensors have the same names in the model and in the ensemble."""
    inputs, outputs = ([text_in(each, "name") for each in messages_in(config, field)] for field in ("input", "output"))
    return _step(model, dict(zip(inputs, inputs, strict=True)), dict(zip(outputs, outputs, strict=True)))


def _step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> Message:
    return {
        "model_name": [model],
        "model_version": [-1],
        "input_map": [{"key": [key], "value": [value]} for key, value in inputs.items()],
        "output_map": [{"key": [key], "value": [value]} for key, value in outputs.items()],
    }


def _with_masked_inputs(step: Message, masked: dict[str, str]) -> Message:
    """Return a step that reads the masked texts instead of the texts."""
    maps: list[Value] = []
    for entry in messages_in(step, "input_map"):
        value = text_in(entry, "value")
        maps.append({"key": [text_in(entry, "key")], "value": [masked.get(value, value)]})
    return {**step, "input_map": maps}
