"""Hypothesis strategies for valid model configurations: any that the schema accepts, and any that fit a model."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
from triton_operator.api.model import AllVersions, LatestVersions, SpecificVersions, VersionPolicy
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

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
"""Names of tensors and other parts: any Unicode except control characters."""

file_names = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,11}", fullmatch=True)
dims = st.lists(st.just(-1) | st.integers(1, 2**31 - 1), min_size=1, max_size=4).map(tuple)
fixed_dims = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=4).map(tuple)
delays = st.integers(0, 3_600_000_000)
sizes = st.integers(1, 2**31 - 1)
data_types = st.sampled_from(DataType)


def lists_of(items: st.SearchStrategy[Any], *, by: str = "name", least: int = 0) -> st.SearchStrategy[Any]:
    """A tuple of up to three structs with different values of the attribute `by`."""
    return st.lists(items, min_size=least, max_size=3, unique_by=lambda item: getattr(item, by)).map(tuple)


def options(struct: type, *, required: frozenset[str] = frozenset(), **fields: st.SearchStrategy[Any]) -> Any:
    """The struct with any subset of its optional fields."""
    needed = {name: strategy for name, strategy in fields.items() if name in required}
    others = {name: strategy for name, strategy in fields.items() if name not in required}
    return st.fixed_dictionaries(needed, optional=others).map(lambda chosen: struct(**chosen))


def tensors(struct: type, **fields: st.SearchStrategy[Any]) -> Any:
    """Inputs or outputs."""
    reshape = st.lists(st.just(-1) | st.integers(1, 1000), max_size=3).map(tuple)
    return options(
        struct,
        required=frozenset({"name", "data_type", "dims"}),
        name=texts,
        data_type=data_types,
        dims=dims,
        reshape=reshape,
        **fields,
    )


policies = options(
    QueuePolicy,
    max_queue_size=st.integers(0, 1_000_000),
    default_timeout_microseconds=delays,
    timeout_action=st.sampled_from(TimeoutAction),
    allow_timeout_override=st.booleans(),
)
preferred = st.lists(sizes, max_size=3, unique=True).map(tuple)
dynamic_batching = options(
    DynamicBatching,
    preferred_batch_sizes=preferred,
    max_queue_delay_microseconds=delays,
    preserve_ordering=st.booleans(),
    priority_levels=st.integers(1, 64),
    default_priority_level=st.integers(1, 64),
    default_queue_policy=policies,
    priority_queue_policies=lists_of(st.builds(PriorityQueuePolicy, st.integers(1, 64), policies), by="priority_level"),
)


@st.composite
def control_inputs(draw: st.DrawFn) -> ControlInput:
    """A control with a data type that is valid for its kind."""
    kind = draw(st.sampled_from(ControlKind))
    numbers = [DataType.UINT64, DataType.INT64, DataType.UINT32, DataType.INT32, DataType.STRING]
    truths = [DataType.BOOL, DataType.INT32, DataType.FP32]
    return ControlInput(
        draw(texts), kind, draw(st.sampled_from(numbers if kind is ControlKind.CORRELATION_ID else truths))
    )


states = st.builds(
    State,
    input_name=texts,
    output_name=texts,
    data_type=data_types,
    dims=dims,
    initial_state=st.none() | st.builds(InitialState, texts, fixed_dims, st.none() | file_names),
)
sequence_batching = (
    options(
        SequenceBatching,
        max_sequence_idle_microseconds=st.integers(1, 86_400_000_000),
        control_inputs=lists_of(control_inputs(), by="kind"),
        states=lists_of(states, by="input_name"),
    )
    | options(
        SequenceBatching,
        required=frozenset({"direct"}),
        direct=options(
            DirectStrategy, max_queue_delay_microseconds=delays, minimum_slot_utilization_percent=st.integers(0, 100)
        ),
        control_inputs=lists_of(control_inputs(), by="kind"),
    )
    | options(
        SequenceBatching,
        required=frozenset({"oldest"}),
        oldest=options(
            OldestStrategy,
            required=frozenset({"max_candidate_sequences"}),
            max_candidate_sequences=st.integers(1, 1_000_000),
            preferred_batch_sizes=preferred,
            max_queue_delay_microseconds=delays,
            preserve_ordering=st.booleans(),
        ),
        states=lists_of(states, by="input_name"),
    )
)

_maps = st.dictionaries(texts, texts, min_size=1, max_size=3)
ensembles = st.builds(
    Ensemble,
    st.lists(
        st.builds(EnsembleStep, texts, _maps, _maps, st.none() | st.integers(1, 2**53 - 1)), min_size=1, max_size=3
    ).map(tuple),
)
_warmup_tensor: dict[str, Any] = {"name": texts, "data_type": data_types, "dims": fixed_dims}
warmup_inputs = st.builds(WarmupInput, **_warmup_tensor, data=st.sampled_from(WarmupData)) | st.builds(
    WarmupInput, **_warmup_tensor, data_file=file_names
)
warmups = st.builds(
    Warmup,
    name=texts,
    batch_size=sizes,
    inputs=lists_of(warmup_inputs, least=1),
    count=st.none() | st.integers(1, 1000),
)
instance_groups = options(
    InstanceGroup,
    name=file_names,
    count=st.integers(1, 256),
    kind=st.sampled_from(InstanceKind),
    gpus=st.lists(st.integers(0, 63), max_size=3, unique=True).map(tuple),
)

_others = st.fixed_dictionaries(
    {},
    optional={
        "inputs": lists_of(tensors(Input, optional=st.booleans())),
        "outputs": lists_of(tensors(Output, label_filename=file_names)),
        "max_batch_size": st.integers(0, 2**31 - 1),
        "default_model_filename": file_names,
        "instance_groups": st.lists(instance_groups, max_size=3).map(tuple),
        "optimization": options(
            Optimization,
            input_pinned_memory=st.booleans(),
            output_pinned_memory=st.booleans(),
            eager_batching=st.booleans(),
        ),
        "warmup": lists_of(warmups),
        "response_cache": st.booleans(),
        "parameters": st.dictionaries(
            texts, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=3
        ),
    },
)
_schedulers: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"dynamic_batching": dynamic_batching}),
    st.fixed_dictionaries({"sequence_batching": sequence_batching}),
    st.fixed_dictionaries({"ensemble": ensembles}),
)
configs: st.SearchStrategy[ModelConfig] = st.builds(
    lambda scheduler, others: ModelConfig(**scheduler, **others), _schedulers, _others
)
"""Any configuration field by field. Only the rule of one scheduler is observed, because Triton's protobuf can store
only one; the schema checks the other dependencies between fields."""

version_policies: st.SearchStrategy[VersionPolicy] = st.one_of(
    st.builds(VersionPolicy, latest=st.builds(LatestVersions, st.integers(1, 1024))),
    st.just(VersionPolicy(all=AllVersions())),
    st.builds(
        VersionPolicy,
        specific=st.builds(
            SpecificVersions, st.lists(st.integers(1, 2**53 - 1), min_size=1, max_size=4, unique=True).map(tuple)
        ),
    ),
)
