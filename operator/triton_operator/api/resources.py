"""Resource requests and limits of a container; the schema documents the names and quantities."""

from __future__ import annotations

import msgspec

from triton_operator.api.struct import Struct


class Resources(Struct, frozen=True):
    """Requests and limits of one container; `spec.gpu` requests GPUs."""

    requests: dict[str, str | int] = msgspec.field(default_factory=dict)
    limits: dict[str, str | int] = msgspec.field(default_factory=dict)
