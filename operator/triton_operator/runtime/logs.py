"""Logging: one JSON object per record on standard error, with repeated messages limited during outages.

`__main__` calls `configure` once. Workers set `current_key`, so that the records of a pass have the deployment's
namespace and name. Repeated messages are limited per template, with a count of the suppressed ones.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson

from triton_operator.api.text import escape

current_key: ContextVar[tuple[str, str] | None] = ContextVar("current_key", default=None)
"""(namespace, name) of the deployment that the current task works on."""

BURST = 10
"""Records of one template that are written within WINDOW seconds."""
WINDOW = 60.0

LIMITED_FROM = logging.WARNING
"""Informational records are about single deployments; warnings and errors are what an outage repeats."""


class JsonFormatter(logging.Formatter):
    """time, level, message; namespace and name of the deployment, if any; the traceback as `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": _printable(record.getMessage()),
            "logger": record.name,
        }
        if key := _key_of(record):
            line["namespace"], line["name"] = key
        if record.exc_info:
            line["error"] = _printable(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class RepetitionFilter(logging.Filter):
    """Allows BURST records of a template per WINDOW; the next one adds how many were suppressed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.levelno < LIMITED_FROM:
            return True
        template = (record.name, _template(record))
        since, count = self._windows.get(template, (self._clock(), 0))
        suppressed = 0
        if self._clock() >= since + WINDOW:
            since, suppressed, count = self._clock(), max(0, count - BURST), 0
        self._windows[template] = (since, count + 1)
        if suppressed:
            record.msg, record.args = f"{record.getMessage()} ({suppressed} similar messages suppressed)", ()
        return count < BURST


def configure(level: str) -> None:
    """Write records of `level` and above, but those of Kopf and aiohttp only from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(RepetitionFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for noisy in ("kopf", "aiohttp", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.WARNING)


def _printable(text: str) -> str:
    """JSON escapes line breaks and the like, but neither 8-bit nor bidirectional controls."""
    return "\n".join(map(escape, text.split("\n")))


def _key_of(record: logging.LogRecord) -> tuple[str, str] | None:
    reference = getattr(record, "k8s_ref", None)  # set by Kopf's loggers
    if reference:
        return str(reference.get("namespace") or ""), str(reference.get("name") or "")
    return current_key.get()


def _template(record: logging.LogRecord) -> str:
    """The key of the limit. Kopf formats its messages before logging, so only their beginning counts."""
    return record.msg[:16] if record.name.startswith("kopf") else str(record.msg)
