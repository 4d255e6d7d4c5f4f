"""Whether a deployment takes over children that have lost their owner: `spec.adopt`. The schema documents it."""

from __future__ import annotations

from enum import StrEnum


class Adopt(StrEnum):
    """Matching adopts children whose content is what the operator would create; Never adopts none."""

    NEVER = "Never"
    MATCHING = "Matching"
