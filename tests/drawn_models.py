"""Generate random models that a real Triton must load: entries of `spec.models` with any configuration.

Input: a seeded generator. `model_folders` writes the files of the models. End-to-end tests deploy both, and unit tests
check the same models against Triton's protobuf. The formats alternate: TorchScript, two Python models, and an ensemble
of a preceding model. Each version of the first three is a process.
"""

from __future__ import annotations

from math import prod
from random import Random
from typing import Any, TypeVar

from triton_operator.api.batching import (
    ControlInput,
    ControlKind,
    DirectStrategy,
    DynamicBatching,
    InitialState,
    OldestStrategy,
    PriorityQueuePolicy,
    QueuePolicy,
    SequenceBatching,
    State,
    TimeoutAction,
)
from triton_operator.api.model import (
    AllVersions,
    Format,
    LatestVersions,
    Model,
    Objective,
    SpecificVersions,
    VersionPolicy,
)
from triton_operator.api.model_config import (
    Ensemble,
    EnsembleStep,
    Input,
    InstanceGroup,
    InstanceKind,
    ModelConfig,
    Optimization,
    Output,
    Warmup,
    WarmupData,
    WarmupInput,
)
from triton_operator.api.tensor import DataType

T = TypeVar("T")

VERSIONS = (1, 5)
"""The versions of each model."""

TORCH_TYPES = (
    *(DataType.BOOL, DataType.UINT8, DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64),
    *(DataType.FP16, DataType.FP32, DataType.FP64),
)
PYTHON_TYPES = (*TORCH_TYPES, DataType.UINT16, DataType.UINT32, DataType.UINT64, DataType.STRING)
"""Tensor types of Python models, which return numpy arrays: numpy has no BF16."""

_LIMITS = (
    QueuePolicy(),
    QueuePolicy(64, 100_000, TimeoutAction.REJECT),
    QueuePolicy(timeout_action=TimeoutAction.DELAY, allow_timeout_override=True),
    QueuePolicy(max_queue_size=1, default_timeout_microseconds=0),
)
_POLICIES = (
    None,
    VersionPolicy(latest=LatestVersions(1)),
    VersionPolicy(specific=SpecificVersions((5,))),
    VersionPolicy(specific=SpecificVersions((5, 1))),
    VersionPolicy(all=AllVersions()),
)


def draw_models(random: Random, count: int) -> list[Model]:
    """`count` models for one server."""
    models: list[Model] = []
    for index in range(count):
        name = f"{random.choice(('m', 'Model', 'a.b-', '0_'))}{index}"
        steps = [each for each in models if _is_step(each)]
        if index % 4 == 3 and steps:
            models.append(_draw_ensemble(random, name, random.choice(steps)))
        else:
            models.append(_draw_model(random, name, Format.PYTHON if index % 4 else Format.TORCHSCRIPT))
    return models


def _draw_model(random: Random, name: str, model_format: Format) -> Model:
    torch = model_format is Format.TORCHSCRIPT
    batch = random.choice((0, 1, 4, 64))
    inputs = tuple(_draw_input(random, index, batch, torch=torch) for index in range(random.randint(1, 3)))
    outputs = tuple(_draw_output(random, index, batch, torch=torch) for index in range(random.randint(1, 2)))
    config = ModelConfig(
        inputs=inputs,
        outputs=outputs,
        max_batch_size=batch,
        default_model_filename=random.choice((None, "digits-2.0.pt")) if torch else None,
        instance_groups=_draw_groups(random),
        optimization=random.choice((None, Optimization(True, False), Optimization(eager_batching=True))),
        warmup=_draw_warmups(random, inputs, batch),
        parameters=random.choice(({}, {"NOTE": 'a "quote"\n\\ and 文字', "EMPTY": ""}, {"INFERENCE_MODE": "true"})),
        **_draw_scheduler(random, batch, torch=torch),
    )
    # The default format may be omitted.
    declared = random.choice((None, model_format)) if torch else model_format
    return _model(random, name, declared, config, random.choice(_POLICIES))


def _model(
    random: Random, name: str, model_format: Format | None, config: ModelConfig, policy: VersionPolicy | None
) -> Model:
    path = random.choice((None, f"some where/{name}"))
    objective = random.choice((None, *Objective))
    return Model(name, path, model_format, policy, objective=objective, config=config)


def _draw_input(random: Random, index: int, batch: int, *, torch: bool) -> Input:
    data_type, dims, reshape = _draw_tensor(random, batch, TORCH_TYPES if torch else PYTHON_TYPES)
    return Input(f"INPUT__{index}", data_type, dims, reshape, optional=not torch and random.random() < 0.2)


def _draw_output(random: Random, index: int, batch: int, *, torch: bool) -> Output:
    data_type, dims, reshape = _draw_tensor(random, batch, TORCH_TYPES if torch else PYTHON_TYPES)
    labels = random.choice((None, None, "labels.txt"))
    return Output(f"OUTPUT__{index}", data_type, dims, reshape, labels)


def _draw_tensor(
    random: Random, batch: int, data_types: tuple[DataType, ...]
) -> tuple[DataType, tuple[int, ...], tuple[int, ...] | None]:
    """A type, dims, and a reshape with the same number of elements."""
    dims = tuple(random.choice((-1, 1, 2, 3)) for _ in range(random.randint(1, 3)))
    reshapes: list[tuple[int, ...] | None] = [None, (1, *dims)]
    if all(size > 0 for size in dims):
        reshapes.append((prod(dims),))
    if batch and prod(dims) == 1 and -1 not in dims:
        reshapes.append(())
    return random.choice(data_types), dims, random.choice(reshapes)


def _draw_groups(random: Random) -> tuple[InstanceGroup, ...]:
    """One instance in total, because each is a process on the CPU."""
    kind = random.choice((None, InstanceKind.CPU, InstanceKind.AUTO))
    group = InstanceGroup(random.choice((None, "fast.1")), random.choice((None, 1)), kind)
    return random.choice(((), (group,)))


def _draw_warmups(random: Random, inputs: tuple[Input, ...], batch: int) -> tuple[Warmup, ...]:
    if random.random() < 0.4:
        return ()
    tensors = tuple(_draw_warmup_input(random, tensor) for tensor in inputs)
    return (Warmup("first one", random.randint(1, min(max(batch, 1), 3)), tensors, random.choice((None, 2))),)


def _draw_warmup_input(random: Random, tensor: Input) -> WarmupInput:
    dims = tuple(size if size > 0 else random.randint(1, 4) for size in tensor.dims)
    if random.random() < 0.3:
        return WarmupInput(tensor.name, tensor.data_type, dims, data_file=f"{tensor.name}.bin")
    return WarmupInput(tensor.name, tensor.data_type, dims, random.choice(list(WarmupData)))


def _draw_scheduler(random: Random, batch: int, *, torch: bool) -> dict[str, Any]:
    chosen = random.randrange(3)
    if chosen == 0 and batch:
        return {"dynamic_batching": _draw_dynamic(random, batch)}
    if chosen == 1:
        return {"sequence_batching": _draw_sequence(random, batch, torch=torch)}
    return {}


def _draw_dynamic(random: Random, batch: int) -> DynamicBatching:
    sizes = tuple(sorted({random.randint(1, batch), batch}))
    delay = random.choice((None, 0, 500))
    levels = random.choice((None, 1, 3))
    if levels is None:
        limit = random.choice((None, _LIMITS[0], _LIMITS[1]))
        return DynamicBatching(sizes, delay, preserve_ordering=random.random() < 0.5, default_queue_policy=limit)
    policies = (PriorityQueuePolicy(levels, random.choice(_LIMITS)),)
    return DynamicBatching(
        sizes,
        delay,
        priority_levels=levels,
        default_priority_level=random.randint(1, levels),
        default_queue_policy=random.choice(_LIMITS),
        priority_queue_policies=random.choice(((), policies)),
    )


def _draw_sequence(random: Random, batch: int, *, torch: bool) -> SequenceBatching:
    """Controls and states, only for Python models."""
    controls = (
        ControlInput("START", ControlKind.START, random.choice((DataType.BOOL, DataType.INT32, DataType.FP32))),
        ControlInput("READY", ControlKind.READY, DataType.INT32),
        ControlInput("END", ControlKind.END, DataType.FP32),
        ControlInput("ID", ControlKind.CORRELATION_ID, random.choice((DataType.UINT64, DataType.INT32))),
    )
    begin = random.choice((None, InitialState("zeros", (2, 3)), InitialState("file", (2, 3), "begin.bin")))
    state = State("STATE_IN", "STATE_OUT", DataType.FP32, (2, 3), begin)
    strategies: list[dict[str, Any]] = [{}, {"direct": DirectStrategy(500, 50)}]
    if batch:
        strategies.append({"oldest": OldestStrategy(4, (batch,), 100, preserve_ordering=True)})
    return SequenceBatching(
        random.choice((None, 5_000_000)),
        () if torch else tuple(random.sample(controls, random.randint(0, 4))),
        () if torch else random.choice(((), (state,))),
        **random.choice(strategies),
    )


def _is_step(model: Model) -> bool:
    """Not for sequences, which need an ID through the ensemble, nor if a version might not be served."""
    return model.config is not None and not model.config.sequence_batching and not model.config.ensemble


def _draw_ensemble(random: Random, name: str, step: Model) -> Model:
    """The inputs and outputs of the step under other names, with the shapes that clients send."""
    assert step.config
    inputs = tuple(Input(f"in {each.name}", each.data_type, each.dims) for each in step.config.inputs)
    outputs = tuple(Output(each.name, each.data_type, each.dims) for each in step.config.outputs)
    config = ModelConfig(
        inputs=inputs,
        outputs=outputs,
        max_batch_size=step.config.max_batch_size,
        ensemble=Ensemble(
            (
                EnsembleStep(
                    step.name,
                    {each.name: f"in {each.name}" for each in step.config.inputs},
                    {each.name: each.name for each in step.config.outputs},
                    random.choice((None, 5)),
                ),
            )
        ),
    )
    return _model(random, name, Format.ENSEMBLE, config, None)
