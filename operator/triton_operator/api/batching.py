"""Batching options in `spec.models[].config`.

`dynamicBatching` is for stateless models, `sequenceBatching` for stateful models. Durations are in microseconds, as in
Triton. `model_config` uses both.
"""

from __future__ import annotations

from enum import StrEnum

from triton_operator.api.struct import Struct
from triton_operator.api.tensor import DataType


class TimeoutAction(StrEnum):
    """What Triton does with a request that exceeds its queue timeout."""

    REJECT = "Reject"
    DELAY = "Delay"


class QueuePolicy(Struct, frozen=True):
    """Limits on the number of queued requests and on their waiting time; 0 or None means no limit."""

    max_queue_size: int | None = None
    default_timeout_microseconds: int | None = None
    timeout_action: TimeoutAction | None = None
    allow_timeout_override: bool = False


class PriorityQueuePolicy(Struct, frozen=True):
    """The queue policy of one priority level; level 1 is the most urgent."""

    priority_level: int
    policy: QueuePolicy


class DynamicBatching(Struct, frozen=True):
    """Combines requests that wait at the same time into batches."""

    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_microseconds: int | None = None
    preserve_ordering: bool = False
    priority_levels: int | None = None
    default_priority_level: int | None = None
    default_queue_policy: QueuePolicy | None = None
    priority_queue_policies: tuple[PriorityQueuePolicy, ...] = ()


class ControlKind(StrEnum):
    """The information about a sequence that a control input carries."""

    START = "Start"
    READY = "Ready"
    END = "End"
    CORRELATION_ID = "CorrelationID"


class ControlInput(Struct, frozen=True):
    """An input that Triton fills: 0 or 1 as a boolean, or the ID of the sequence (CorrelationID)."""

    name: str
    kind: ControlKind
    data_type: DataType


class DirectStrategy(Struct, frozen=True):
    """Assigns each sequence to one batch slot of one instance; the utilization is a percentage of the slots."""

    max_queue_delay_microseconds: int | None = None
    minimum_slot_utilization_percent: int | None = None


class OldestStrategy(Struct, frozen=True):
    """Batches the sequences that have waited longest."""

    max_candidate_sequences: int
    preferred_batch_sizes: tuple[int, ...] = ()
    max_queue_delay_microseconds: int | None = None
    preserve_ordering: bool = False


class InitialState(Struct, frozen=True):
    """The value of a state at the start of a sequence: a file in the model's folder `initial_state`, or zeros."""

    name: str
    dims: tuple[int, ...]
    data_file: str | None = None


class State(Struct, frozen=True):
    """A tensor that Triton keeps for a sequence: an output of one request becomes an input of the next."""

    input_name: str
    output_name: str
    data_type: DataType
    dims: tuple[int, ...]
    initial_state: InitialState | None = None


class SequenceBatching(Struct, frozen=True):
    """Routes the requests of a sequence to one instance; at most one strategy is set. Triton's default is `direct`."""

    max_sequence_idle_microseconds: int | None = None
    control_inputs: tuple[ControlInput, ...] = ()
    states: tuple[State, ...] = ()
    direct: DirectStrategy | None = None
    oldest: OldestStrategy | None = None
