"""Logs objects that cannot be decoded and are skipped: their names, without any of their content."""

from __future__ import annotations

import logging

import msgspec

from triton_operator.cluster.projection import identify

log = logging.getLogger(__name__)


def report_unreadable(kind: str, raw: bytes | msgspec.Raw, error: Exception) -> None:
    """Log one object, without the error message, which may quote it."""
    try:
        found = identify(raw)
        which = f"{found.namespace}/{found.name}"
    except Exception:  # noqa: BLE001 - not even its name can be decoded
        which = "with an unknown name"
    log.error("skipped %s %s, which cannot be decoded (%s)", kind, which, type(error).__name__)
