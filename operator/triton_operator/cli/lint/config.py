"""Check a model configuration with Triton's own parser, and for errors that this parser cannot detect.

Input: the text, and the checked model file. Output: Findings. tritonclient includes Triton's protobuf definitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from triton_operator.cli.lint.archive import ModelFile
from triton_operator.cli.lint.finding import Finding, error, warning
from triton_operator.cli.lint.forward import check_arguments, check_result
from triton_operator.prepare.versions import version_contents
from triton_operator.triton.config.constants import AOT_INDUCTOR_PLATFORM
from triton_operator.triton.config.derived_backend import BACKEND_FILES, names_no_backend, with_backend
from triton_operator.triton.config.fields import SINCE
from triton_operator.triton.config.file import read_config_text
from triton_operator.triton.config.rules import check_rules, unknown_in_warmup
from triton_operator.triton.config.signature_merge import merge
from triton_operator.triton.config.summary import ConfigSummary, summarize
from triton_operator.triton.model_file.signature import TORCHSCRIPT_TYPES
from triton_operator.triton.text.errors import ConfigError, ConfigTextError
from triton_operator.triton.text.parser import Message, parse
from triton_operator.triton.text.values import data_type_in, entries_in, message_in, messages_in, text_in

_PLACE = re.compile(r"(?P<line>\d+):\d+ : (?P<message>.*)", re.DOTALL)
_THREADS = frozenset({"INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"})
_READ_PARAMETERS = _THREADS | {"DISABLE_OPTIMIZED_EXECUTION", "INFERENCE_MODE"}
"""Parameters of the native PyTorch backend that the CPU image's backend supports."""


def check_file(path: Path) -> Iterator[Finding]:
    """Check a config.pbtxt without its model; raises OSError if it cannot be read."""
    try:
        text = read_config_text(path)
    except ConfigError as problem:
        yield error(str(path), "", str(problem))
    else:
        yield from check_config(text, str(path), folder=path.parent)


def check_config(
    text: str, shown: str, model: ModelFile | None = None, folder: Path | None = None
) -> Iterator[Finding]:
    """Check one config.pbtxt. `model` is the checked file of the newest version, or None.

    `folder` is the model's folder. Its files determine the backend if the text does not.
    """
    try:
        message = parse(text)
    except ConfigTextError as problem:
        yield error(shown, f"line {problem.line}", str(problem), "")
        return
    yield from _check_protobuf(text, shown)
    if folder is not None:
        message = with_backend(message, folder.resolve().name, version_contents(folder))
    if names_no_backend(message):
        yield _no_backend(shown, is_known=folder is not None and bool(version_contents(folder)))
        return
    try:
        config = summarize(message)
    except ConfigError as problem:
        yield error(shown, "", str(problem))
        return
    yield from _check_rules(message, config, shown, model)
    yield from _check_releases(message, shown)
    yield from _check_advisable(message, shown)
    if config.is_torchscript:
        yield from _check_torchscript(message, config, shown, model)


def _no_backend(shown: str, *, is_known: bool) -> Finding:
    """An error only if the model's files are known and do not determine the backend either."""
    message = 'neither "backend" nor "platform" is set'
    advice = f'set one of them, such as backend: "pytorch", or name the file one of {", ".join(BACKEND_FILES)}'
    return error(shown, "", message, advice) if is_known else warning(shown, "", message, advice)


def _check_protobuf(text: str, shown: str) -> Iterator[Finding]:
    """Parse the text into the protobuf message that Triton uses."""
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    try:
        text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as problem:
        found = _PLACE.fullmatch(str(problem))
        place, message = (f"line {found['line']}", found["message"]) if found else ("", str(problem))
        yield error(shown, place, f"Triton rejects it: {' '.join(message.split())}")


def _check_rules(message: Message, config: ConfigSummary, shown: str, model: ModelFile | None) -> Iterator[Finding]:
    """Check what Triton would reject, in the configuration as completed by the signature."""
    is_whole = model is not None or not config.may_have_signature
    if model is not None and model.signature is not None:
        try:
            message = merge(message, model.signature)
        except ConfigError:
            is_whole = False  # `_check_torchscript` reports it.
    for problem in check_rules(message, is_whole=is_whole):
        yield error(shown, problem.path, problem.message, problem.advice)
    for problem in unknown_in_warmup(message):
        yield warning(shown, problem.path, problem.message, problem.advice)


def _check_releases(message: Message, shown: str, path: str = "") -> Iterator[Finding]:
    """Fields that make older servers reject the whole file."""
    for field, values in message.items():
        place = f"{path}.{field}" if path else field
        if field in SINCE:
            text = f"requires Triton {SINCE[field]}; older servers, such as the CPU image's, reject the whole file"
            yield warning(shown, place, text)
        for value in values:
            if isinstance(value, dict):
                yield from _check_releases(value, shown, place)


def _check_advisable(message: Message, shown: str) -> Iterator[Finding]:
    tensors = list(_tensors(message))
    batched = message.get("max_batch_size", [0])[-1] not in {0, None}
    if batched and tensors and all(_sizes(tensor)[:1] == [-1] and len(_sizes(tensor)) > 1 for _, tensor in tensors):
        yield warning(
            shown,
            "dims",
            "every input and output start with -1, which looks like a batch dimension, but max_batch_size is set",
            "with max_batch_size, dims exclude the batch dimension",
        )
    if batched and not {"dynamic_batching", "sequence_batching", "ensemble_scheduling"} & message.keys():
        advice = "dynamic_batching { } combines waiting requests into batches"
        yield warning(shown, "dynamic_batching", "is not set, so requests are executed one at a time", advice)
    open_input = any(-1 in _sizes(tensor) for field, tensor in tensors if field.startswith("input"))
    if open_input and "model_warmup" not in message and not _compiles_nothing(message):
        advice = "add model_warmup with the sizes that clients send"
        yield warning(shown, "model_warmup", "is not set, so the first request of each shape is slow", advice)


def _compiles_nothing(message: Message) -> bool:
    """Whether the first request with a new shape is not slower: for Python, and for models compiled ahead of time."""
    return message.get("backend") == ["python"] or message.get("platform") == [AOT_INDUCTOR_PLATFORM]


def _check_torchscript(
    message: Message, config: ConfigSummary, shown: str, model: ModelFile | None
) -> Iterator[Finding]:
    for field, tensor in (*_tensors(message), *_states(message)):
        data_type = data_type_in(tensor)
        if data_type and data_type not in TORCHSCRIPT_TYPES:
            advice = f"use one of {', '.join(sorted(TORCHSCRIPT_TYPES))}"
            yield error(
                shown, f"{field}.data_type", f"Triton does not support TYPE_{data_type} for TorchScript", advice
            )
    yield from _check_parameters(message, shown)
    if model is None:
        return
    if model.signature is not None:
        try:
            merge(message, model.signature, "config.pbtxt")
        except ConfigError as problem:
            yield error(shown, "", str(problem), "correct the configuration, or export the model again")
    else:
        for field, names in (("input", config.inputs), ("output", config.outputs)):
            if not names:
                yield error(
                    shown, field, "is missing, and the model has no signature to derive it from", f"add {field}"
                )
    if config.inputs and model.arguments is not None:
        yield from check_arguments(message, model.arguments, shown)
    if config.outputs and model.result:
        yield from check_result(message, model.result, shown)


def _check_parameters(message: Message, shown: str) -> Iterator[Finding]:
    for name, value in entries_in(message, "parameters").items():
        if name not in _READ_PARAMETERS:
            text = "is ignored by the CPU image and by tritonctl run; only the native PyTorch backend may support it"
            yield warning(shown, f"parameters[{name}]", text)
        elif name in _THREADS:
            yield from _check_threads(name, text_in(message_in(value, "value"), "string_value"), shown)


def _check_threads(name: str, text: str, shown: str) -> Iterator[Finding]:
    """The native PyTorch backend ignores a number below 1, which the CPU image's backend rejects."""
    if re.fullmatch(r"-?[0-9]+", text) is None:
        yield error(shown, f"parameters[{name}]", f"is {text!r}, but must be an integer of at least 1")
    elif int(text) < 1:
        message = f"is {text}, which the CPU image and tritonctl run reject; it must be at least 1"
        yield warning(shown, f"parameters[{name}]", message)


def _tensors(message: Message) -> Iterator[tuple[str, Message]]:
    for field in ("input", "output"):
        for index, tensor in enumerate(message.get(field, [])):
            if isinstance(tensor, dict):
                yield f"{field}[{index}]", tensor


def _states(message: Message) -> Iterator[tuple[str, Message]]:
    for batching in messages_in(message, "sequence_batching"):
        for index, state in enumerate(messages_in(batching, "state")):
            yield f"sequence_batching.state[{index}]", state


def _sizes(tensor: Message) -> list[int]:
    return [size for size in tensor.get("dims", []) if isinstance(size, int)]
