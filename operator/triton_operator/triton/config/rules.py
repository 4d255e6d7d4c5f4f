"""Triton's own rules for one configuration, so that errors are found before a server starts.

Input: a complete configuration as a Message. Output: a ConfigProblem for each violation. `check` calls it for typed
configurations, `lint` for hand-written ones. The rules are those of Triton's core in 24.10, unchanged in 26.06
(model_config_utils.cc, sequence_batch_scheduler.cc, backend_model_instance.cc). `ensemble_rules`, `sequence_rules` and
`fatal_rules` contain the rules for ensembles, for sequences, and for what ends the server. Rules that depend on the
server, such as those for GPUs, are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from triton_operator.triton.config.constants import AOT_INDUCTOR_PLATFORM, ENSEMBLE
from triton_operator.triton.config.ensemble_rules import check_ensemble
from triton_operator.triton.config.fatal_rules import check_metric_tags
from triton_operator.triton.config.filled_tensors import filled_inputs
from triton_operator.triton.config.problem import ConfigProblem
from triton_operator.triton.config.sequence_rules import check_preferred, check_sequences
from triton_operator.triton.text.parser import Message
from triton_operator.triton.text.values import (
    data_type_in,
    entries_in,
    integer_in,
    integers_in,
    message_in,
    messages_in,
    text_in,
    truth_in,
    word_in,
)

_ANY = -1
_KINDS = ("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL")
_ACTIONS = ("REJECT", "DELAY")
_IMAGE_DIMS = 3
_PLATFORMS = (
    "pytorch_libtorch",
    AOT_INDUCTOR_PLATFORM,
    "onnxruntime_onnx",
    "tensorrt_plan",
    "tensorflow_graphdef",
    "tensorflow_savedmodel",
    ENSEMBLE,
)
_FORCE_CPU = "FORCE_CPU_ONLY_INPUT_TENSORS"


def check_rules(message: Message, *, is_whole: bool = True) -> Iterator[ConfigProblem]:
    """Everything that Triton would reject; unless `is_whole`, missing fields may still come from a signature."""
    batch = integer_in(message, "max_batch_size") if is_whole or "max_batch_size" in message else None
    if batch is not None and batch < 0:
        yield ConfigProblem("max_batch_size", "must not be negative", "use 0 for a model without a batch dimension")
    for field in ("input", "output"):
        for index, tensor in enumerate(messages_in(message, field)):
            yield from _check_tensor(f"{field}[{index}]", tensor, message, is_whole=is_whole, batch=batch)
    yield from _check_dynamic_batching(message_in(message, "dynamic_batching"), batch)
    yield from check_sequences(message, batch)
    yield from _check_instances(message)
    yield from _check_response_cache(message)
    yield from _check_counted(message)
    yield from _check_platform(message)
    yield from check_metric_tags(message)
    yield from _check_python_parameters(message)
    yield from check_ensemble(message)
    if "input" in message:
        for index, sample in enumerate(messages_in(message, "model_warmup")):
            yield from _check_warmup(f"model_warmup[{index}]", sample, message, batch)


def _check_tensor(
    path: str, tensor: Message, message: Message, *, is_whole: bool, batch: int | None
) -> Iterator[ConfigProblem]:
    dims = integers_in(tensor, "dims")
    if not text_in(tensor, "name"):
        yield ConfigProblem(f"{path}.name", "is missing")
    if is_whole and not data_type_in(tensor):
        yield ConfigProblem(f"{path}.data_type", "is missing", "such as data_type: TYPE_FP32")
    if is_whole and not dims:
        yield ConfigProblem(f"{path}.dims", "is missing", "such as dims: [ 3, -1 ], without the batch")
    yield from _check_sizes(f"{path}.dims", dims)
    if "reshape" in tensor and dims:
        shape = integers_in(message_in(tensor, "reshape"), "shape")
        yield from _check_sizes(f"{path}.reshape", shape)
        yield from _check_reshape(f"{path}.reshape", dims, shape, batch)
    if text_in(tensor, "format") in {"FORMAT_NHWC", "FORMAT_NCHW"} and len(dims) != _IMAGE_DIMS:
        yield ConfigProblem(f"{path}.format", f"{text_in(tensor, 'format')} requires three dims, not {len(dims)}")
    if not _is_tensorrt(message):
        for field in ("is_shape_tensor", "is_non_linear_format_io"):
            if truth_in(tensor, field):
                yield ConfigProblem(f"{path}.{field}", "is supported for TensorRT models only")


def _check_sizes(path: str, sizes: list[int]) -> Iterator[ConfigProblem]:
    if any(size == 0 or size < _ANY for size in sizes):
        yield ConfigProblem(path, "has a size that is neither positive nor -1", "-1 means any size")


def _check_reshape(path: str, dims: list[int], shape: list[int], batch: int | None) -> Iterator[ConfigProblem]:
    if not shape and batch == 0:
        yield ConfigProblem(
            path, "must not be empty with max_batch_size 0, because Triton has no tensor without dimensions"
        )
    elif _runs(dims) != _runs(shape):
        yield ConfigProblem(
            path,
            f"{shown_shape(shape)} does not have the same number of elements as dims {shown_shape(dims)}, "
            "counted between sizes of -1",
        )


def _runs(shape: list[int]) -> list[int]:
    """Numbers of elements before, between and after the dimensions of size -1."""
    ends = [index for index, size in enumerate(shape) if size == _ANY]
    starts = [0, *(end + 1 for end in ends)]
    return [prod(shape[start:end]) for start, end in zip(starts, [*ends, len(shape)], strict=True)]


def _check_dynamic_batching(batching: Message, batch: int | None) -> Iterator[ConfigProblem]:
    path = "dynamic_batching"
    yield from check_preferred(path, batching, batch)
    levels, default = integer_in(batching, "priority_levels"), integer_in(batching, "default_priority_level")
    policies = {integer_in(entry, "key"): entry for entry in messages_in(batching, "priority_queue_policy")}
    if levels:
        if not 1 <= default <= levels:
            yield ConfigProblem(f"{path}.default_priority_level", f"must be from 1 to {levels}, the priority_levels")
        for level in policies:
            if not 1 <= level <= levels:
                yield ConfigProblem(f"{path}.priority_queue_policy[{level}]", f"the level must be from 1 to {levels}")
    if truth_in(batching, "preserve_ordering"):
        if levels > 1:
            yield ConfigProblem(f"{path}.preserve_ordering", "must not be set with several priority levels")
        policy_of = {f"priority_queue_policy[{level}]": message_in(entry, "value") for level, entry in policies.items()}
        for field, policy in {
            "default_queue_policy": message_in(batching, "default_queue_policy"),
            **policy_of,
        }.items():
            delays = word_in(policy, "timeout_action", _ACTIONS) == "DELAY"
            if delays and integer_in(policy, "default_timeout_microseconds"):
                yield ConfigProblem(f"{path}.{field}.timeout_action", "must not be DELAY with preserve_ordering")


def _check_instances(message: Message) -> Iterator[ConfigProblem]:
    for index, group in enumerate(messages_in(message, "instance_group")):
        path = f"instance_group[{index}]"
        kind = word_in(group, "kind", _KINDS)
        if kind in {"KIND_CPU", "KIND_MODEL"} and group.get("gpus"):
            yield ConfigProblem(f"{path}.gpus", f"must not be set with {kind}")
        if group.get("profile") and not _is_tensorrt(message):
            yield ConfigProblem(f"{path}.profile", "is supported for TensorRT models only")


def _check_response_cache(message: Message) -> Iterator[ConfigProblem]:
    if not truth_in(message_in(message, "response_cache"), "enable"):
        return
    if "sequence_batching" in message:
        yield ConfigProblem("response_cache", "must not be set together with sequence_batching")
    if truth_in(message_in(message, "model_transaction_policy"), "decoupled"):
        yield ConfigProblem("response_cache", "must not be set for a decoupled model")


def _check_platform(message: Message) -> Iterator[ConfigProblem]:
    """Check the platform of a configuration without a backend; with one, Triton ignores unknown platforms."""
    platform = text_in(message, "platform")
    if platform and not text_in(message, "backend") and platform not in _PLATFORMS:
        known = f"is {platform}, which is not a platform of Triton: {', '.join(_PLATFORMS)}"
        yield ConfigProblem("platform", known, f'for the backend of this name, set backend: "{platform}"')


def _check_python_parameters(message: Message) -> Iterator[ConfigProblem]:
    """Check the parameter whose other values make the Python backend fail."""
    entry = entries_in(message, "parameters").get(_FORCE_CPU)
    value = text_in(message_in(entry, "value"), "string_value") if entry else "yes"
    if text_in(message, "backend") == "python" and value not in {"yes", "no"}:
        yield ConfigProblem(f"parameters[{_FORCE_CPU}]", f'is "{value}", but must be "yes" or "no"')


def _check_counted(message: Message) -> Iterator[ConfigProblem]:
    """Check `batch_input` and `batch_output`, which describe ragged batches."""
    inputs = {text_in(tensor, "name") for tensor in messages_in(message, "input")}
    outputs = {text_in(tensor, "name") for tensor in messages_in(message, "output")}
    counted = [("batch_input", index, each) for index, each in enumerate(messages_in(message, "batch_input"))]
    scattered = [("batch_output", index, each) for index, each in enumerate(messages_in(message, "batch_output"))]
    for field, index, each in [*counted, *scattered]:
        sources = [source for source in each.get("source_input", ()) if isinstance(source, str)]
        if len(sources) != 1:
            yield ConfigProblem(f"{field}[{index}].source_input", f"must be one input, not {len(sources)}")
        for source in sources:
            if source not in inputs:
                yield ConfigProblem(f"{field}[{index}].source_input", f'the model has no input "{source}"')
        if field == "batch_input" and data_type_in(each) not in {"INT32", "FP32"}:
            yield ConfigProblem(f"{field}[{index}].data_type", "must be TYPE_INT32 or TYPE_FP32")
    for _, index, each in scattered:
        targets = [target for target in each.get("target_name", ()) if isinstance(target, str)]
        for target in dict.fromkeys(targets):
            if target not in outputs:
                yield ConfigProblem(f"batch_output[{index}].target_name", f'the model has no output "{target}"')
            elif targets.count(target) > 1:
                yield ConfigProblem(f"batch_output[{index}].target_name", f'"{target}" occurs twice')


def _check_warmup(path: str, sample: Message, message: Message, batch: int | None) -> Iterator[ConfigProblem]:
    """Check that a sample has all required inputs in valid shapes; Triton ignores a sample with batch size 0."""
    size = integer_in(sample, "batch_size")
    if size == 0:
        return
    if batch is not None and size > max(1, batch):
        yield ConfigProblem(f"{path}.batch_size", f"{size} is greater than max_batch_size, {batch}")
    known = {text_in(tensor, "name"): tensor for tensor in messages_in(message, "input")}
    sent = entries_in(sample, "inputs")
    for index, (name, entry) in enumerate(sent.items()):
        yield from _check_warmup_input(f"{path}.inputs[{index}]", message_in(entry, "value"), known.get(name))
    missing = {name for name, tensor in known.items() if not truth_in(tensor, "optional")} - sent.keys()
    if missing:
        yield ConfigProblem(
            f"{path}.inputs", f"must contain {', '.join(sorted(missing))}, because these inputs are not optional"
        )


def unknown_in_warmup(message: Message) -> Iterator[ConfigProblem]:
    """Names in a warm-up that are not inputs; Triton accepts them, but they are probably typos."""
    if "input" not in message:
        return
    known = {text_in(tensor, "name") for tensor in messages_in(message, "input")} | set(filled_inputs(message))
    for index, sample in enumerate(messages_in(message, "model_warmup")):
        for place, name in enumerate(entries_in(sample, "inputs")):
            if name not in known:
                path = f"model_warmup[{index}].inputs[{place}].name"
                yield ConfigProblem(path, f'the model has no input "{name}"; it has {", ".join(sorted(known))}')


def _check_warmup_input(path: str, value: Message, known: Message | None) -> Iterator[ConfigProblem]:
    dims = integers_in(value, "dims")
    if not {"zero_data", "random_data", "input_data_file"} & value.keys():
        yield ConfigProblem(path, "has neither zero_data, random_data nor input_data_file")
    if _ANY in dims:
        yield ConfigProblem(f"{path}.dims", "must have fixed sizes, without -1")
    if known is None:
        return
    if data_type_in(known) and data_type_in(value) != data_type_in(known):
        yield ConfigProblem(
            f"{path}.data_type", f"is {data_type_in(value) or 'missing'}, but the input is {data_type_in(known)}"
        )
    wanted = integers_in(known, "dims")
    fits = len(dims) == len(wanted) and all(size in {own, _ANY} for own, size in zip(dims, wanted, strict=True))
    if wanted and not fits:
        yield ConfigProblem(f"{path}.dims", f"{shown_shape(dims)} does not match the input's {shown_shape(wanted)}")


def shown_shape(shape: list[int]) -> str:
    """A shape in messages."""
    return f"[{', '.join(map(str, shape))}]"


def _is_tensorrt(message: Message) -> bool:
    return text_in(message, "platform") == "tensorrt_plan" or text_in(message, "backend") == "tensorrt"
