"""Parse the subset of the Prometheus text format that Triton writes.

Pure. Input: the body of `GET /metrics`. Output: samples with names and labels. The format is specified at
https://prometheus.io/docs/instrumenting/exposition_formats. prometheus_client can parse all of it, but is a dependency
of the operator only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'(?<![a-zA-Z0-9_])([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


class MetricSample(NamedTuple):
    """One line of the text."""

    name: str
    labels: dict[str, str]
    value: float


def parse(text: str) -> Iterator[MetricSample]:
    """Yield the samples; other lines are skipped, so that newer servers can be scraped."""
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        labels = {name: _plain(value) for name, value in _LABEL.findall(match["labels"] or "")}
        yield MetricSample(match["name"], labels, value)


def _plain(value: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), value)
