"""Compute rates and latencies of a deployment's models from two scrapes.

Pure. Input: the samples of each pod from two scrapes, and the seconds between. Output: figures for each model and
version. Triton counts requests, rows, executions and microseconds (see
https://github.com/triton-inference-server/server/blob/main/docs/user_guide/metrics.md). Quantiles cannot be computed
from counters. They are available only if the server is configured to record them: as summaries of all requests, or as
a histogram of first responses (for models that stream).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec

from triton_operator.cli.top.metrics_text import MetricSample

Key: TypeAlias = tuple[str, str]
"""A model and its version."""
Samples: TypeAlias = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""

_P50, _P99 = 0.5, 0.99
_SUMMARY = "nv_inference_request_summary_us"
_HISTOGRAM = "nv_inference_first_response_histogram_ms_bucket"


class QuantileSource(StrEnum):
    """The metric that p50 and p99 come from."""

    SUMMARY = "summary"
    FIRST_RESPONSE = "firstResponseHistogram"


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """The figures of one model; None if there were no requests or the value is unknown. Times are in milliseconds."""

    model: str
    version: str
    pods: int
    requests_per_second: float
    failures_per_second: float
    mean_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    quantiles_from: QuantileSource | None
    queue_ms: float | None
    batch: float | None
    pending: int


def samples_of(parsed: Iterable[MetricSample]) -> Samples:
    """Samples as a mapping."""
    return {(each.name, frozenset(each.labels.items())): each.value for each in parsed}


def rates(before: Mapping[str, Samples], after: Mapping[str, Samples], seconds: float) -> list[Figures]:
    """The figures over all pods that are in both scrapes, sorted by model."""
    pods = [(_by_model(before[pod]), _by_model(after[pod])) for pod in after if pod in before]
    models = sorted({key for _, new in pods for key, samples in new.items() if _is_served(samples)})
    return [_figures(key, [(old.get(key, {}), new.get(key, {})) for old, new in pods], seconds) for key in models]


def _by_model(samples: Samples) -> dict[Key, Samples]:
    """The samples of each model and version; those without a model are skipped."""
    found: dict[Key, Samples] = {}
    for (name, labels), value in samples.items():
        named = dict(labels)
        if "model" in named:
            found.setdefault((named["model"], named.get("version", "")), {})[name, labels] = value
    return found


def _is_served(samples: Samples) -> bool:
    return any(name == "nv_inference_request_success" for name, _ in samples)


def _figures(key: Key, pods: list[tuple[Samples, Samples]], seconds: float) -> Figures:
    def grown(name: str) -> float:
        return sum(_grown(name, old, new) for old, new in pods)

    done = grown("nv_inference_request_success")
    source, p50, p99 = _quantiles(pods)
    return Figures(
        model=key[0],
        version=key[1],
        pods=sum(_is_served(new) for _, new in pods),
        requests_per_second=done / seconds,
        failures_per_second=grown("nv_inference_request_failure") / seconds,
        mean_ms=_ratio(grown("nv_inference_request_duration_us"), done * 1000),
        p50_ms=p50,
        p99_ms=p99,
        quantiles_from=source,
        queue_ms=_ratio(grown("nv_inference_queue_duration_us"), done * 1000),
        batch=_ratio(grown("nv_inference_count"), grown("nv_inference_exec_count")),
        pending=int(sum(_sum("nv_inference_pending_request_count", new) for _, new in pods)),
    )


def _grown(name: str, old: Samples, new: Samples) -> float:
    """The increase of a counter; a smaller value means that the server restarted."""
    before, now = _sum(name, old), _sum(name, new)
    return now - before if now >= before else now


def _sum(name: str, samples: Samples) -> float:
    """The sum for a model over all other labels, such as GPUs and reasons; 0 if it is not a finite number."""
    total = sum(value for (each, _), value in samples.items() if each == name)
    return total if math.isfinite(total) else 0.0


def _quantiles(pods: list[tuple[Samples, Samples]]) -> tuple[QuantileSource | None, float | None, float | None]:
    """Source, p50 and p99 in milliseconds. Summaries of several pods cannot be merged, so the slowest pod's is used."""
    summaries = [_summary(new) for _, new in pods]
    if any(summaries):
        p50, p99 = (max((each[at] for each in summaries if at in each), default=None) for at in (_P50, _P99))
        return QuantileSource.SUMMARY, p50, p99
    buckets = _buckets(pods)
    if buckets:
        return QuantileSource.FIRST_RESPONSE, histogram_quantile(_P50, buckets), histogram_quantile(_P99, buckets)
    return None, None, None


def _summary(samples: Samples) -> dict[float, float]:
    """Milliseconds by quantile; without recent requests, a summary is NaN."""
    found = {
        _number(dict(labels).get("quantile", "")): value
        for (name, labels), value in samples.items()
        if name == _SUMMARY
    }
    return {quantile: value / 1000 for quantile, value in found.items() if math.isfinite(value)}


def _buckets(pods: list[tuple[Samples, Samples]]) -> dict[float, float]:
    """The number of first responses within each limit between the two scrapes, over all pods."""
    total: dict[float, float] = {}
    for old, new in pods:
        for (name, labels), value in new.items():
            limit = _number(dict(labels).get("le", "+Inf"))
            if name == _HISTOGRAM and not math.isnan(limit):
                earlier = old.get((name, labels), 0.0)
                total[limit] = total.get(limit, 0.0) + (value - earlier if value >= earlier else value)
    return total


def _number(label: str) -> float:
    """The value of a label; NaN if it is not a number."""
    try:
        return float(label)
    except ValueError:
        return math.nan


def histogram_quantile(quantile: float, buckets: Mapping[float, float]) -> float | None:
    """Estimate a quantile from cumulative counts, as Prometheus does: by linear interpolation within a bucket.

    None without observations. A quantile in the last bucket, which has no upper limit, is its lower limit.
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
