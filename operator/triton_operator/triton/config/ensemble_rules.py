"""Triton's rules for ensembles: within one configuration, and between it and the models of its steps.

The former are in the core's model_config_utils.cc, the latter in its ensemble_utils.cc and the dependency graph, as
observed with server 2.51. See `rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from triton_operator.triton.config.constants import ENSEMBLE
from triton_operator.triton.config.problem import ConfigProblem
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
)

_ANY = -1
_FIELD = "ensemble_scheduling"


class _ParsedStep(NamedTuple):
    """One step; the maps lead from the model's tensors to the ensemble's."""

    path: str
    model: str
    version: int
    inputs: dict[str, str]
    outputs: dict[str, str]


class CalledModel(NamedTuple):
    """A model that a step calls: its complete configuration, and the served versions, None if they are not known."""

    config: Message
    versions: tuple[int, ...] | None = None


class _EnsembleTensor(NamedTuple):
    """A tensor of the ensemble as the model `by` declares it; `shape` starts with the batch if there is one."""

    by: str
    data_type: str
    dims: list[int]
    shape: list[int]


class _NamedTensor(NamedTuple):
    name: str
    tensor: _EnsembleTensor


def step_names(message: Message) -> list[str]:
    """Names of the models that the steps call, without duplicates."""
    return list(dict.fromkeys(step.model for step in _steps(message)))


def check_ensemble(message: Message) -> Iterator[ConfigProblem]:
    """Contradictions within the configuration."""
    is_ensemble = text_in(message, "platform") == ENSEMBLE
    if _FIELD not in message:
        if is_ensemble:
            yield ConfigProblem(_FIELD, "is missing, although the platform is ensemble")
        return
    if not is_ensemble:
        yield ConfigProblem(_FIELD, 'requires platform: "ensemble"')
    for field in ("backend", "instance_group", "optimization", "model_warmup"):
        if field in message:
            yield ConfigProblem(field, "must not be set for an ensemble", "set it for the models of the steps")
    steps = _steps(message)
    if not steps:
        yield ConfigProblem(f"{_FIELD}.step", "is missing")
        return
    yield from _check_steps(steps)
    yield from _check_flow(steps, _names(message, "input"), _names(message, "output"))


def _check_steps(steps: list[_ParsedStep]) -> Iterator[ConfigProblem]:
    written: set[str] = set()
    for step in steps:
        if not step.model:
            yield ConfigProblem(f"{step.path}.model_name", "is missing")
        for field, entries in (("input_map", step.inputs), ("output_map", step.outputs)):
            if not entries:
                yield ConfigProblem(f"{step.path}.{field}", "is missing")
        for output, name in step.outputs.items():
            if name in written:
                yield ConfigProblem(
                    f"{step.path}.output_map[{output}]", f'"{name}" is already the output of another step'
                )
            written.add(name)


def _check_flow(steps: list[_ParsedStep], given: list[str], wanted: list[str]) -> Iterator[ConfigProblem]:
    """Check that every step can run: as in Triton, a step runs as soon as its inputs are available."""
    written = {name for step in steps for name in step.outputs.values()}
    used = {name for step in steps for name in step.inputs.values()}
    for name in wanted:
        if name not in written | used:
            yield ConfigProblem("output", f'no step produces "{name}"')
    for name in given:
        if name not in used | written:
            yield ConfigProblem("input", f'no step uses "{name}"')
    for name in sorted(written - used - {*wanted}):
        yield ConfigProblem(f"{_FIELD}.step", f'"{name}" is neither used by a step nor an output')
    there, waiting = set(given), list(steps)
    while ready := [step for step in waiting if there.issuperset(step.inputs.values())]:
        waiting = [step for step in waiting if step not in ready]
        there |= {name for step in ready for name in step.outputs.values()}
    for step in waiting:
        for source, name in step.inputs.items():
            if name not in there:
                message = f'"{name}" is neither an input nor produced by an earlier step'
                yield ConfigProblem(f"{step.path}.input_map[{source}]", message)


def check_steps(name: str, message: Message, models: Mapping[str, CalledModel | None]) -> Iterator[ConfigProblem]:
    """Contradictions between the ensemble `name` and the models of its steps.

    `models` are those of the repository, None if their configuration is not known.
    """
    if circle := _circle(name, message, models):
        yield ConfigProblem(f"{_FIELD}.step", f"the ensembles call each other in a cycle: {' -> '.join(circle)}")
        return
    tensors = {each.name: each.tensor for field in ("output", "input") for each in _own(name, message, field)}
    for step in _steps(message):
        if step.model not in models:
            yield ConfigProblem(f"{step.path}.model_name", f'the repository has no model "{step.model}"')
        elif called := models[step.model]:
            yield from _check_version(step, called)
            yield from _check_batch(step, integer_in(message, "max_batch_size"), called.config)
            yield from _check_tensors(step, called.config, tensors)


def _check_version(step: _ParsedStep, called: CalledModel) -> Iterator[ConfigProblem]:
    if step.version == _ANY or called.versions is None or step.version in called.versions:
        return
    served = ", ".join(map(str, called.versions)) or "none"
    message = f"version {step.version} of {step.model} is not served; served: {served}"
    yield ConfigProblem(f"{step.path}.model_version", message, "-1 selects the newest; without the field, it is 0")


def _check_batch(step: _ParsedStep, largest: int, config: Message) -> Iterator[ConfigProblem]:
    own = integer_in(config, "max_batch_size")
    if 0 < own < largest:
        message = f"{step.model} accepts batches of at most {own}, but the ensemble's max_batch_size is {largest}"
        yield ConfigProblem(f"{step.path}.model_name", message)


def _check_tensors(step: _ParsedStep, config: Message, tensors: dict[str, _EnsembleTensor]) -> Iterator[ConfigProblem]:
    """Check that the tensors of the maps exist and match; adds new tensors to `tensors`."""
    for field, entries in (("input", step.inputs), ("output", step.outputs)):
        known = {text_in(tensor, "name"): tensor for tensor in messages_in(config, field)}
        for name, own in entries.items():
            path = f"{step.path}.{field}_map[{name}]"
            if name not in known:
                yield ConfigProblem(path, f'{step.model} has no {field} "{name}"; it has {", ".join(known) or "none"}')
                continue
            here = _of_step(step.model, known[name], integer_in(config, "max_batch_size"))
            there = tensors.setdefault(own, here)
            if not _fit(there, here):
                message = f'"{own}" is {_shown(there)} in {there.by}, but {_shown(here)} in {here.by}'
                yield ConfigProblem(path, message)
        if field == "input":
            missing = [
                name for name, tensor in known.items() if name not in entries and not truth_in(tensor, "optional")
            ]
            if missing:
                yield ConfigProblem(f"{step.path}.input_map", f"{step.model} also requires {', '.join(missing)}")


def _fit(one: _EnsembleTensor, other: _EnsembleTensor) -> bool:
    """Whether the types and the shapes are equal, with or without the batch; -1 matches any size."""
    return one.data_type == other.data_type and (_equal(one.dims, other.dims) or _equal(one.shape, other.shape))


def _equal(one: list[int], other: list[int]) -> bool:
    return len(one) == len(other) and all(a == b or _ANY in {a, b} for a, b in zip(one, other, strict=True))


def _own(name: str, message: Message, field: str) -> Iterator[_NamedTensor]:
    """The ensemble's own tensors; the steps use the shape `reshape` if it is set."""
    for tensor in messages_in(message, field):
        dims = integers_in(tensor, "dims")
        if "reshape" in tensor:
            dims = integers_in(message_in(tensor, "reshape"), "shape")
        yield _NamedTensor(text_in(tensor, "name"), _tensor(name, tensor, dims, integer_in(message, "max_batch_size")))


def _of_step(model: str, tensor: Message, batch: int) -> _EnsembleTensor:
    return _tensor(model, tensor, integers_in(tensor, "dims"), batch)


def _tensor(by: str, tensor: Message, dims: list[int], batch: int) -> _EnsembleTensor:
    return _EnsembleTensor(by, data_type_in(tensor), dims, [_ANY, *dims] if batch > 0 else dims)


def _circle(name: str, message: Message, models: Mapping[str, CalledModel | None]) -> list[str]:
    """A cycle from the ensemble through its steps back to itself; empty if there is none."""
    ways, seen = [[name, step] for step in step_names(message)], set[str]()
    while ways:
        way = ways.pop()
        if way[-1] == name:
            return way
        called = models.get(way[-1])
        if called and way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, step] for step in step_names(called.config)]
    return []


def _shown(tensor: _EnsembleTensor) -> str:
    return f"{tensor.data_type} [{','.join(map(str, tensor.shape))}]"


def _names(message: Message, field: str) -> list[str]:
    return [text_in(tensor, "name") for tensor in messages_in(message, field)]


def _steps(message: Message) -> list[_ParsedStep]:
    return [
        _ParsedStep(
            f"{_FIELD}.step[{index}]",
            text_in(step, "model_name"),
            integer_in(step, "model_version"),
            {key: text_in(entry, "value") for key, entry in entries_in(step, "input_map").items()},
            {key: text_in(entry, "value") for key, entry in entries_in(step, "output_map").items()},
        )
        for index, step in enumerate(messages_in(message_in(message, _FIELD), "step"))
    ]
