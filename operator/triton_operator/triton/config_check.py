"""Contradictions inside one typed configuration that no rule of the schema can see, but Triton would.

A configuration goes in; nothing leaves, or a ConfigError that begins with the field as a user wrote it below `config`.
`resources` asks before a pod is made. The rules are those of Triton's core (model_config_utils.cc for shapes and
ensembles, backend_model_instance.cc for warm-ups), which would refuse the same only when the pod starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import prod

from triton_operator.api.model_config import Ensemble, Input, ModelConfig, Output, Warmup, WarmupInput
from triton_operator.triton.model_config import ConfigError

_ANY = -1


def check(config: ModelConfig) -> None:
    """Raise ConfigError for the first contradiction."""
    for index, given in enumerate(config.inputs):
        _check_reshape(f"inputs[{index}].reshape", given)
    for index, wanted in enumerate(config.outputs):
        _check_reshape(f"outputs[{index}].reshape", wanted)
    if config.inputs:
        for index, warmup in enumerate(config.warmup):
            _check_warmup(f"warmup[{index}].inputs", warmup, config)
    if config.ensemble:
        _check_ensemble(config.ensemble, config)


def _check_reshape(path: str, tensor: Input | Output) -> None:
    if tensor.reshape is not None and _runs(tensor.dims) != _runs(tensor.reshape):
        raise ConfigError(
            f"{path}: {_shown(tensor.reshape)} does not have as many elements as dims {_shown(tensor.dims)}, "
            "counted between sizes of -1"
        )


def _runs(shape: tuple[int, ...]) -> list[int]:
    """Numbers of elements before, between and after the dimensions of any size."""
    ends = [index for index, size in enumerate(shape) if size == _ANY]
    starts = [0, *(end + 1 for end in ends)]
    return [prod(shape[start:end]) for start, end in zip(starts, [*ends, len(shape)], strict=True)]


def _check_warmup(path: str, warmup: Warmup, config: ModelConfig) -> None:
    """All inputs that a request must have, in a shape that it may have; controls and states may be there too."""
    known = {tensor.name: tensor for tensor in config.inputs}
    filled = set(_filled_by_triton(config))
    for index, tensor in enumerate(warmup.inputs):
        if tensor.name in known:
            _check_warmup_input(f"{path}[{index}]", tensor, known[tensor.name])
        elif tensor.name not in filled:
            raise ConfigError(f'{path}[{index}].name: there is no input "{tensor.name}", but {", ".join(known)}')
    missing = {name for name, tensor in known.items() if not tensor.optional} - {each.name for each in warmup.inputs}
    if missing:
        raise ConfigError(f"{path}: {', '.join(sorted(missing))} must be among them, being not optional")


def _filled_by_triton(config: ModelConfig) -> Iterator[str]:
    batching = config.sequence_batching
    if batching:
        yield from (control.name for control in batching.control_inputs)
        yield from (state.input_name for state in batching.states)


def _check_warmup_input(path: str, tensor: WarmupInput, known: Input) -> None:
    if tensor.data_type is not known.data_type:
        raise ConfigError(f"{path}.dataType: is {tensor.data_type}, but the input is {known.data_type}")
    fits = len(tensor.dims) == len(known.dims) and all(
        size in {own, _ANY} for own, size in zip(tensor.dims, known.dims, strict=True)
    )
    if not fits:
        raise ConfigError(f"{path}.dims: {_shown(tensor.dims)} does not fit the input's {_shown(known.dims)}")


def _check_ensemble(ensemble: Ensemble, config: ModelConfig) -> None:
    """Every tensor comes from one place and goes somewhere."""
    given = {tensor.name for tensor in config.inputs}
    wanted = {tensor.name for tensor in config.outputs}
    _check_written_once(ensemble, given)
    _check_order(ensemble, given)
    written = set(chain.from_iterable(step.output_map.values() for step in ensemble.steps))
    used = set(chain.from_iterable(step.input_map.values() for step in ensemble.steps))
    for name in sorted(wanted - written):
        raise ConfigError(f'outputs: no step gives "{name}"')
    for name in sorted(given - used):
        raise ConfigError(f'inputs: no step takes "{name}"')
    for name in sorted(written - used - wanted):
        raise ConfigError(f'ensemble.steps: "{name}" is neither taken by a step nor one of the outputs')


def _check_written_once(ensemble: Ensemble, given: set[str]) -> None:
    written = set(given)
    for index, step in enumerate(ensemble.steps):
        for output, name in step.output_map.items():
            if name in written:
                raise ConfigError(f'ensemble.steps[{index}].outputMap[{output}]: "{name}" comes from elsewhere already')
            written.add(name)


def _check_order(ensemble: Ensemble, given: set[str]) -> None:
    """Run the steps as Triton does, each when its inputs are there, until none is left."""
    there = set(given)
    waiting = dict(enumerate(ensemble.steps))
    while ready := [index for index, step in waiting.items() if there.issuperset(step.input_map.values())]:
        for index in ready:
            there.update(waiting.pop(index).output_map.values())
    for index, step in waiting.items():
        source, name = next((key, value) for key, value in step.input_map.items() if value not in there)
        raise ConfigError(
            f'ensemble.steps[{index}].inputMap[{source}]: "{name}" is not an input, and no step before gives it'
        )


def _shown(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
