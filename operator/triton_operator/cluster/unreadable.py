"""An object that cannot be read is left out, and the log says which one: its name, and no word of its content."""

from __future__ import annotations

import logging

import msgspec

from triton_operator.cluster.projection import identify

log = logging.getLogger(__name__)


def report_unreadable(kind: str, raw: bytes | msgspec.Raw, error: Exception) -> None:
    """Log it. The error's own words are left out: they may quote the object."""
    try:
        found = identify(raw)
        which = f"{found.namespace}/{found.name}"
    except Exception:  # noqa: BLE001 - then not even its name can be read
        which = "of unknown name"
    log.error("%s %s cannot be read (%s) and is left out", kind, which, type(error).__name__)
