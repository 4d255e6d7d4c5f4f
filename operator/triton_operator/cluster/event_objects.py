"""Kubernetes Events: builds the operator's, and reads those of the kubelet and the scheduler. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from triton_operator.api.names import API_VERSION, KIND, MANAGER
from triton_operator.cluster.observed import PodEvent
from triton_operator.cluster.stored_objects import Stored

NOTE_LIMIT = 1024
"""Bytes of an Event's note that events.k8s.io/v1 accepts."""


class _Series(Stored):
    last_observed_time: str = ""


class _StoredEvent(Stored):
    type: str = ""
    reason: str = ""
    note: str = ""
    event_time: str | None = None
    last_timestamp: str | None = msgspec.field(default=None, name="deprecatedLastTimestamp")
    series: _Series | None = None

    @property
    def time(self) -> str:
        """When it last happened, RFC 3339; the kubelet sets the old field, the scheduler the new ones."""
        return (self.series.last_observed_time if self.series else "") or self.last_timestamp or self.event_time or ""


_decode = msgspec.json.Decoder(_StoredEvent).decode


def read_events(items: list[msgspec.Raw]) -> list[PodEvent]:
    """Events, sorted by the time when they last happened."""
    stored = sorted(map(_decode, items), key=lambda event: event.time)
    return [PodEvent(type=event.type, reason=event.reason, message=event.note) for event in stored]


def build_event(namespace: str, name: str, uid: str, *, note: str, **fields: str) -> dict[str, Any]:
    """An Event about a ModelDeployment.

    `fields` are type, reason, action, eventTime (RFC 3339 with microseconds) and reportingInstance (this process).
    """
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        # A generated name, because two transitions may happen within one clock tick.
        "metadata": {"generateName": f"{name}-", "namespace": namespace},
        "reportingController": MANAGER,
        "note": shorten(note, NOTE_LIMIT),
        "regarding": {"apiVersion": API_VERSION, "kind": KIND, "namespace": namespace, "name": name, "uid": uid},
        **fields,
    }


def shorten(text: str, limit: int) -> str:
    """`text` cut to `limit` bytes of UTF-8 without splitting a character; cut text ends with an ellipsis."""
    if len(encoded := text.encode()) <= limit:
        return text
    return encoded[: limit - len("…".encode())].decode(errors="ignore") + "…"
