"""The states of sequences (`sequence_batching.state`), which Triton gives to the next request of the same sequence.

Input: what a request says of its sequence, and the state as Triton has it. Output: the state that the model gets.
Called by `model`. Triton keeps states for its own backends; its Python interface has no way to hand one back (24.10),
so this keeps them, for each sequence that an instance has under way. Triton sends all requests of a sequence to one
instance.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import torch
from tensors import DTYPES, STRING, TensorError

_TORCH = {name: dtype for dtype, name in DTYPES.items()}
_START, _END = 1, 2  # TRITONSERVER_REQUEST_FLAG_SEQUENCE_START and _END


class Place(NamedTuple):
    """Where a request is: its sequence (0 or "" for one that only fills a slot of the batch), start and end."""

    sequence: int | str
    is_start: bool
    is_end: bool


def place_of(request: Any) -> Place:
    """Read it from Triton's request."""
    flags = request.flags()
    return Place(request.correlation_id(), bool(flags & _START), bool(flags & _END))


class Sequences:
    """States by sequence, of the last so many sequences: Triton has no more under way in one instance."""

    def __init__(self, config: dict[str, Any]) -> None:
        batching = config.get("sequence_batching") or {}
        oldest = batching.get("oldest") or {}
        self._most = int(oldest.get("max_candidate_sequences", 0)) or max(1, int(config.get("max_batch_size", 0)))
        self._states: dict[int | str, list[Any]] = {}

    def state(self, place: Place, given: list[Any]) -> list[Any]:
        """Give what the model gets; `given` is how a sequence begins. Raises `TensorError` for one that did not."""
        if place.is_start or not place.sequence:
            return given
        if place.sequence not in self._states:
            raise TensorError(
                f"sequence {place.sequence} has no state, because its first request failed: start it again",
                of_the_caller=True,
            )
        return self._states[place.sequence]

    def keep(self, place: Place, states: list[Any]) -> None:
        """Take what the model gave, for the next request; the sequence that was silent for longest makes room."""
        self._states.pop(place.sequence, None)
        if not place.sequence or place.is_end:
            return
        self._states[place.sequence] = [each.clone() if isinstance(each, torch.Tensor) else each for each in states]
        if len(self._states) > self._most:
            del self._states[next(iter(self._states))]


def zeros(dtype: str, shape: tuple[int, ...]) -> Any:
    """Give a state or control that nobody filled."""
    known = tuple(1 if size < 0 else size for size in shape)
    return [""] * prod(known) if dtype == STRING else torch.zeros(known, dtype=_TORCH[dtype])
