"""Times as Kubernetes writes them: RFC 3339, in UTC and with whole seconds. Pure."""

from __future__ import annotations

from datetime import datetime


def parse_time(text: str) -> datetime | None:
    """The time in `text`; None for anything else, and for a time without a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def format_time(time: datetime) -> str:
    """The text for a time in UTC."""
    return f"{time.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
