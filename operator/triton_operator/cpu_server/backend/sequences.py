"""Keep the states of sequences (`sequence_batching.state`) for the next request of the same sequence.

Input: a request's position in its sequence, and the state from Triton. Output: the state for the model. `model` calls
it. Triton keeps states for its native backends, but its Python interface cannot return one (24.10), so this module
keeps the states of an instance's active sequences. Triton sends all requests of a sequence to the same instance.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import torch
from tensors import DTYPES, STRING, TensorError

_TORCH = {name: dtype for dtype, name in DTYPES.items()}
_START, _END = 1, 2  # TRITONSERVER_REQUEST_FLAG_SEQUENCE_START and _END


class SequencePosition(NamedTuple):
    """A request's sequence ID (0 or "" if it only fills a slot of the batch), and whether it starts or ends it."""

    sequence: int | str
    is_start: bool
    is_end: bool


def position_of(request: Any) -> SequencePosition:
    """Read the position from Triton's request."""
    flags = request.flags()
    return SequencePosition(request.correlation_id(), bool(flags & _START), bool(flags & _END))


class Sequences:
    """States by sequence ID, limited to the number of sequences that can be active in one instance."""

    def __init__(self, config: dict[str, Any]) -> None:
        batching = config.get("sequence_batching") or {}
        oldest = batching.get("oldest") or {}
        self._most = int(oldest.get("max_candidate_sequences", 0)) or max(1, int(config.get("max_batch_size", 0)))
        self._states: dict[int | str, list[Any]] = {}

    def state(self, position: SequencePosition, initial: list[Any]) -> list[Any]:
        """Return the state for the model; raises `TensorError` for a sequence that has not started."""
        if position.is_start or not position.sequence:
            return initial
        if position.sequence not in self._states:
            raise TensorError(
                f"sequence {position.sequence} has no state, because its first request failed: start it again",
                is_client_error=True,
            )
        return self._states[position.sequence]

    def keep(self, position: SequencePosition, states: list[Any]) -> None:
        """Store the model's state for the next request; if full, remove the least recently used sequence."""
        self._states.pop(position.sequence, None)
        if not position.sequence or position.is_end:
            return
        self._states[position.sequence] = [each.clone() if isinstance(each, torch.Tensor) else each for each in states]
        if len(self._states) > self._most:
            del self._states[next(iter(self._states))]


def zeros(dtype: str, shape: tuple[int, ...]) -> Any:
    """The value of a missing state or control; variable dimensions have size 1."""
    known = tuple(1 if size < 0 else size for size in shape)
    return [""] * prod(known) if dtype == STRING else torch.zeros(known, dtype=_TORCH[dtype])
