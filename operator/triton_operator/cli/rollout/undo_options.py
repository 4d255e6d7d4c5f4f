"""The options of `tritonctl rollout undo`. They have their own module, so that other actions do not import `undo`."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PrivacyChoice(StrEnum):
    """What happens to fields that protect data, if the revision has other values."""

    KEEP = "keep"
    RESTORE = "restore"


class UndoOptions(NamedTuple):
    """`revision` is the number of a revision, None for the newest one that differs from the spec."""

    revision: int | None = None
    privacy: PrivacyChoice | None = None
    dry_run: bool = False
