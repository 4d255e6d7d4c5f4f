"""Prometheus' text format, as far as Triton writes it.

Pure. Input: the body of `GET /metrics`. Output: samples by name and labels. `rates` reads them. (The format:
https://prometheus.io/docs/instrumenting/exposition_formats; prometheus_client, which knows all of it, is the
operator's dependency and not the command's.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


class Sample(NamedTuple):
    """One line."""

    name: str
    labels: dict[str, str]
    value: float


def parse(text: str) -> Iterator[Sample]:
    """Yield the samples; lines that are none are passed over, as a scraper of a newer server must."""
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        labels = {name: _plain(value) for name, value in _LABEL.findall(match["labels"] or "")}
        yield Sample(match["name"], labels, value)


def _plain(value: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), value)
