"""Triton's rules for ensembles: within one configuration, and between it and the models that its steps call.

The first are those of the core's model_config_utils.cc, the others those of its ensemble_utils.cc and of the dependency
graph, as server 2.51 was seen to apply them. See `config_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from triton_operator.triton.config.constants import ENSEMBLE
from triton_operator.triton.config.problem import Problem
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
    """One step; the maps go from the model's tensors to the ensemble's."""

    path: str
    model: str
    version: int
    inputs: dict[str, str]
    outputs: dict[str, str]


class CalledModel(NamedTuple):
    """A model that a step may call: its whole configuration, and the versions that are served, None if not known."""

    config: Message
    versions: tuple[int, ...] | None = None


class _EnsembleTensor(NamedTuple):
    """A tensor of the ensemble as the model `by` has it; `shape` begins with the batch if there is one."""

    by: str
    data_type: str
    dims: list[int]
    shape: list[int]


class _NamedTensor(NamedTuple):
    name: str
    tensor: _EnsembleTensor


def step_names(message: Message) -> list[str]:
    """The models that the steps call, each once."""
    return list(dict.fromkeys(step.model for step in _steps(message)))


def check_ensemble(message: Message) -> Iterator[Problem]:
    """What contradicts within the configuration."""
    is_ensemble = text_in(message, "platform") == ENSEMBLE
    if _FIELD not in message:
        if is_ensemble:
            yield Problem(_FIELD, "is missing, and the platform is ensemble")
        return
    if not is_ensemble:
        yield Problem(_FIELD, 'needs platform: "ensemble"')
    for field in ("backend", "instance_group", "optimization", "model_warmup"):
        if field in message:
            yield Problem(field, "must not be set for an ensemble", "its models have it")
    steps = _steps(message)
    if not steps:
        yield Problem(f"{_FIELD}.step", "is missing")
        return
    yield from _check_steps(steps)
    yield from _check_flow(steps, _names(message, "input"), _names(message, "output"))


def _check_steps(steps: list[_ParsedStep]) -> Iterator[Problem]:
    written: set[str] = set()
    for step in steps:
        if not step.model:
            yield Problem(f"{step.path}.model_name", "is missing")
        for field, entries in (("input_map", step.inputs), ("output_map", step.outputs)):
            if not entries:
                yield Problem(f"{step.path}.{field}", "is missing")
        for output, name in step.outputs.items():
            if name in written:
                yield Problem(f"{step.path}.output_map[{output}]", f'"{name}" comes from elsewhere already')
            written.add(name)


def _check_flow(steps: list[_ParsedStep], given: list[str], wanted: list[str]) -> Iterator[Problem]:
    """Run the steps as Triton does, each when its inputs are there, until none is left."""
    written = {name for step in steps for name in step.outputs.values()}
    used = {name for step in steps for name in step.inputs.values()}
    for name in wanted:
        if name not in written | used:
            yield Problem("output", f'no step gives "{name}"')
    for name in given:
        if name not in used | written:
            yield Problem("input", f'no step takes "{name}"')
    for name in sorted(written - used - {*wanted}):
        yield Problem(f"{_FIELD}.step", f'"{name}" is neither taken by a step nor one of the outputs')
    there, waiting = set(given), list(steps)
    while ready := [step for step in waiting if there.issuperset(step.inputs.values())]:
        waiting = [step for step in waiting if step not in ready]
        there |= {name for step in ready for name in step.outputs.values()}
    for step in waiting:
        for source, name in step.inputs.items():
            if name not in there:
                message = f'"{name}" is not an input, and no step before gives it'
                yield Problem(f"{step.path}.input_map[{source}]", message)


def check_steps(name: str, message: Message, models: Mapping[str, CalledModel | None]) -> Iterator[Problem]:
    """What contradicts between the ensemble `name` and its steps.

    `models` are those of the repository, None where their configuration is not known.
    """
    if circle := _circle(name, message, models):
        yield Problem(f"{_FIELD}.step", f"the ensembles call each other in a circle: {' -> '.join(circle)}")
        return
    tensors = {each.name: each.tensor for field in ("output", "input") for each in _own(name, message, field)}
    for step in _steps(message):
        if step.model not in models:
            yield Problem(f"{step.path}.model_name", f'there is no model "{step.model}" in the repository')
        elif called := models[step.model]:
            yield from _check_version(step, called)
            yield from _check_batch(step, integer_in(message, "max_batch_size"), called.config)
            yield from _check_tensors(step, called.config, tensors)


def _check_version(step: _ParsedStep, called: CalledModel) -> Iterator[Problem]:
    if step.version == _ANY or called.versions is None or step.version in called.versions:
        return
    served = ", ".join(map(str, called.versions)) or "none"
    message = f"version {step.version} of {step.model} is not served, but {served}"
    yield Problem(f"{step.path}.model_version", message, "-1 stands for the newest; without the field it is 0")


def _check_batch(step: _ParsedStep, largest: int, config: Message) -> Iterator[Problem]:
    own = integer_in(config, "max_batch_size")
    if 0 < own < largest:
        message = f"{step.model} takes batches of at most {own}, and the ensemble's max_batch_size is {largest}"
        yield Problem(f"{step.path}.model_name", message)


def _check_tensors(step: _ParsedStep, config: Message, tensors: dict[str, _EnsembleTensor]) -> Iterator[Problem]:
    """The tensors of the maps exist and fit; `tensors` grows by what is first seen here."""
    for field, entries in (("input", step.inputs), ("output", step.outputs)):
        known = {text_in(tensor, "name"): tensor for tensor in messages_in(config, field)}
        for name, own in entries.items():
            path = f"{step.path}.{field}_map[{name}]"
            if name not in known:
                yield Problem(path, f'{step.model} has no {field} "{name}", but {", ".join(known) or "none"}')
                continue
            here = _of_step(step.model, known[name], integer_in(config, "max_batch_size"))
            there = tensors.setdefault(own, here)
            if not _fit(there, here):
                message = f'"{own}" is {_shown(there)} by {there.by}, and {_shown(here)} by {here.by}'
                yield Problem(path, message)
        if field == "input":
            missing = [
                name for name, tensor in known.items() if name not in entries and not truth_in(tensor, "optional")
            ]
            if missing:
                yield Problem(f"{step.path}.input_map", f"{step.model} also takes {', '.join(missing)}")


def _fit(one: _EnsembleTensor, other: _EnsembleTensor) -> bool:
    """Whether types are equal and shapes too, with or without the batch; -1 fits any size."""
    return one.data_type == other.data_type and (_equal(one.dims, other.dims) or _equal(one.shape, other.shape))


def _equal(one: list[int], other: list[int]) -> bool:
    return len(one) == len(other) and all(a == b or _ANY in {a, b} for a, b in zip(one, other, strict=True))


def _own(name: str, message: Message, field: str) -> Iterator[_NamedTensor]:
    """The ensemble's own tensors, whose shape for the steps is `reshape` where there is one."""
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
    """A way from the ensemble over its steps back to itself; empty where there is none."""
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
