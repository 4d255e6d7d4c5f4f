"""What a deployment's models did between two looks at their counters.

Pure. Input: samples of each pod, twice, and the seconds between. Output: a line of figures for each model and version.
Triton counts (https://github.com/triton-inference-server/server/blob/main/docs/user_guide/metrics.md): requests,
rows, executions and microseconds. Quantiles cannot be had from counters. They are there only where the server was told
to keep them: as summaries of all requests, or as a histogram of first responses (models that stream).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec

from triton_operator.cli.top.metrics_text import Sample

Key: TypeAlias = tuple[str, str]
"""A model and its version."""
Samples: TypeAlias = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""

_P50, _P99 = 0.5, 0.99
_SUMMARY = "nv_inference_request_summary_us"
_HISTOGRAM = "nv_inference_first_response_histogram_ms_bucket"


class Source(StrEnum):
    """Where p50 and p99 are from."""

    SUMMARY = "summary"
    FIRST_RESPONSE = "firstResponseHistogram"


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """One model; None where nothing happened or nothing is known. Times are milliseconds."""

    model: str
    version: str
    pods: int
    requests_per_second: float
    failures_per_second: float
    mean_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    quantiles_from: Source | None
    queue_ms: float | None
    batch: float | None
    pending: int


def samples_of(parsed: Iterable[Sample]) -> Samples:
    """Samples as a mapping."""
    return {(each.name, frozenset(each.labels.items())): each.value for each in parsed}


def rates(before: Mapping[str, Samples], after: Mapping[str, Samples], seconds: float) -> list[Figures]:
    """The figures over all pods that were looked at twice, in the order of the models' names."""
    pods = [pod for pod in after if pod in before]
    models = sorted({key for pod in pods for key in _models(after[pod])})
    return [_figures(key, [(before[pod], after[pod]) for pod in pods], seconds) for key in models]


def _models(samples: Samples) -> set[Key]:
    found = (dict(labels) for name, labels in samples if name == "nv_inference_request_success")
    return {(labels.get("model", ""), labels.get("version", "")) for labels in found}


def _figures(key: Key, pods: list[tuple[Samples, Samples]], seconds: float) -> Figures:
    def grown(name: str) -> float:
        return sum(_grown(name, key, old, new) for old, new in pods)

    done = grown("nv_inference_request_success")
    source, p50, p99 = _quantiles(key, pods)
    return Figures(
        model=key[0],
        version=key[1],
        pods=sum(key in _models(new) for _, new in pods),
        requests_per_second=done / seconds,
        failures_per_second=grown("nv_inference_request_failure") / seconds,
        mean_ms=_ratio(grown("nv_inference_request_duration_us"), done * 1000),
        p50_ms=p50,
        p99_ms=p99,
        quantiles_from=source,
        queue_ms=_ratio(grown("nv_inference_queue_duration_us"), done * 1000),
        batch=_ratio(grown("nv_inference_count"), grown("nv_inference_exec_count")),
        pending=int(sum(_sum("nv_inference_pending_request_count", key, new) for _, new in pods)),
    )


def _grown(name: str, key: Key, old: Samples, new: Samples) -> float:
    """How much a counter grew; one that is smaller began anew with its server."""
    before, now = _sum(name, key, old), _sum(name, key, new)
    return now - before if now >= before else now


def _sum(name: str, key: Key, samples: Samples) -> float:
    """The value of a model, over all its other labels (GPUs, reasons)."""
    return sum(value for (each, labels), value in samples.items() if each == name and _is_of(key, labels))


def _is_of(key: Key, labels: frozenset[tuple[str, str]]) -> bool:
    return ("model", key[0]) in labels and ("version", key[1]) in labels


def _quantiles(key: Key, pods: list[tuple[Samples, Samples]]) -> tuple[Source | None, float | None, float | None]:
    """Source, p50 and p99 in milliseconds. Summaries of several pods cannot be joined: the slowest pod's count."""
    summaries = [_summary(key, new) for _, new in pods]
    if any(summaries):
        p50, p99 = (max((each[at] for each in summaries if at in each), default=None) for at in (_P50, _P99))
        return Source.SUMMARY, p50, p99
    buckets = _buckets(key, pods)
    if buckets:
        return Source.FIRST_RESPONSE, histogram_quantile(_P50, buckets), histogram_quantile(_P99, buckets)
    return None, None, None


def _summary(key: Key, samples: Samples) -> dict[float, float]:
    """Milliseconds by quantile; NaN is what a summary says when nothing came of late."""
    found = (
        (dict(labels), value) for (name, labels), value in samples.items() if name == _SUMMARY and _is_of(key, labels)
    )
    return {
        float(labels["quantile"]): value / 1000
        for labels, value in found
        if "quantile" in labels and not math.isnan(value)
    }


def _buckets(key: Key, pods: list[tuple[Samples, Samples]]) -> dict[float, float]:
    """How many first responses came within each limit, of those between the two looks, over all pods."""
    total: dict[float, float] = {}
    for old, new in pods:
        for (name, labels), value in new.items():
            if name == _HISTOGRAM and _is_of(key, labels):
                limit = float(dict(labels).get("le", "+Inf"))
                earlier = old.get((name, labels), 0.0)
                total[limit] = total.get(limit, 0.0) + (value - earlier if value >= earlier else value)
    return total


def histogram_quantile(quantile: float, buckets: Mapping[float, float]) -> float | None:
    """Estimate a quantile from cumulative counts by upper limit, as Prometheus does: even within a bucket.

    None without observations. Beyond the last finite limit nothing is known but that: it is the answer.
    """
    limits = sorted(buckets)
    count = buckets[limits[-1]] if limits else 0.0
    if count <= 0:
        return None
    rank, below, start = quantile * count, 0.0, 0.0
    for limit in limits:
        within = buckets[limit]
        if within >= rank:
            if math.isinf(limit):
                return start
            return start + (limit - start) * (rank - below) / (within - below) if within > below else limit
        below, start = within, limit
    return start


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
