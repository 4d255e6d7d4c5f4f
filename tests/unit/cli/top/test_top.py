"""`tritonctl top`: rates from the counters of two scrapes, and quantiles where they are available."""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_cluster import FakeCluster
from tests.tritonctl import run_until, tritonctl
from tests.web_server import Answer, web_server
from triton_operator.api.errors import InvalidSpecError
from triton_operator.cli.top.command import EPILOG
from triton_operator.cli.top.metrics_text import MetricSample, parse
from triton_operator.cli.top.rates import QuantileSource, histogram_quantile, rates, samples_of
from triton_operator.triton.server.extra_args import check_extra_args

COUNTERS = """\
# HELP nv_inference_request_success Number of successful inference requests, all batch sizes
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="digits",version="1"} %(done)d
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="digits",reason="BACKEND",version="1"} %(failed)d
nv_inference_request_failure{model="digits",reason="REJECTED",version="1"} 1
nv_inference_count{model="digits",version="1"} %(rows)d
nv_inference_exec_count{model="digits",version="1"} %(runs)d
nv_inference_request_duration_us{model="digits",version="1"} %(micros)d
nv_inference_queue_duration_us{model="digits",version="1"} %(queued)d
nv_inference_pending_request_count{model="digits",version="1"} 3
"""
START = {"done": 100, "failed": 0, "rows": 400, "runs": 50, "micros": 100_000, "queued": 1_000}
LATER = {"done": 300, "failed": 4, "rows": 1200, "runs": 150, "micros": 700_000, "queued": 101_000}
SUMMARY = """\
nv_inference_request_summary_us_count{model="digits",version="1"} 9
nv_inference_request_summary_us{model="digits",version="1",quantile="0.5"} %s
nv_inference_request_summary_us{model="digits",version="1",quantile="0.99"} 9000
"""


def looked(text: str, **values: int) -> Any:
    """Samples of a pod's metrics."""
    return samples_of(parse(text % values if values else text))


def test_counters_become_rates_over_the_interval() -> None:
    """Two hundred requests of four rows each in two seconds."""
    (rate,) = rates({"a": looked(COUNTERS, **START)}, {"a": looked(COUNTERS, **LATER)}, 2.0)
    assert (rate.model, rate.version, rate.pods) == ("digits", "1", 1)
    assert (rate.requests_per_second, rate.failures_per_second) == (100, 2)
    assert (rate.mean_ms, rate.queue_ms, rate.batch, rate.pending) == (3.0, 0.5, 8.0, 3)
    assert (rate.p50_ms, rate.p99_ms, rate.quantiles_from) == (None, None, None)


def test_pods_are_added_up() -> None:
    """A pod that was scraped only once does not count yet."""
    pods = ("a", "b")
    before = dict.fromkeys(pods, looked(COUNTERS, **START))
    after = dict.fromkeys((*pods, "new"), looked(COUNTERS, **LATER))
    (rate,) = rates(before, after, 2.0)
    assert (rate.pods, rate.requests_per_second, rate.mean_ms, rate.pending) == (2, 200, 3.0, 6)


def test_counters_of_a_restarted_server_start_at_zero() -> None:
    """A rate is never negative."""
    (rate,) = rates({"a": looked(COUNTERS, **LATER)}, {"a": looked(COUNTERS, **START)}, 1.0)
    assert rate.requests_per_second == 100


def test_an_idle_model_has_no_mean() -> None:
    """It is not zero either."""
    same = {"a": looked(COUNTERS, **START)}
    (rate,) = rates(same, same, 2.0)
    assert (rate.requests_per_second, rate.mean_ms, rate.queue_ms, rate.batch) == (0, None, None, None)


def test_summaries_give_quantiles_of_the_slowest_pod() -> None:
    """They cannot be merged; one without recent requests is NaN."""
    slow, quick, idle = (looked(COUNTERS % LATER + SUMMARY % value) for value in (2500, 1500, "NaN"))
    pods = {"a": slow, "b": quick, "c": idle}
    (rate,) = rates(pods, pods, 1.0)
    assert (rate.quantiles_from, rate.p50_ms, rate.p99_ms) == (QuantileSource.SUMMARY, 2.5, 9.0)


def test_a_histogram_gives_quantiles_of_the_interval() -> None:
    """Over all pods, but only for first responses, and the output says so."""
    bucket = 'nv_inference_first_response_histogram_ms_bucket{model="digits",version="1",le="%s"} %d\n'

    def pod(*counts: int) -> Any:
        return looked(
            COUNTERS % LATER + "".join(bucket % each for each in zip(("10", "20", "+Inf"), counts, strict=True))
        )

    (rate,) = rates({"a": pod(5, 5, 5), "b": pod(0, 0, 0)}, {"a": pod(10, 10, 10), "b": pod(0, 5, 5)}, 1.0)
    assert (rate.quantiles_from, rate.p50_ms) == (QuantileSource.FIRST_RESPONSE, 10)
    assert rate.p99_ms == pytest.approx(19.8)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_histograms_quantile_is_within_the_bucket_of_the_true_one(values: list[float], quantile: float) -> None:
    """A histogram does not contain more information."""
    limits = [1.0, 10.0, 100.0, 1000.0, float("inf")]
    buckets = {limit: float(sum(value <= limit for value in values)) for limit in limits}
    true = sorted(values)[max(0, -int(-quantile * len(values) // 1) - 1)]
    upper = next(limit for limit in limits if true <= limit)
    lower = max((limit for limit in limits if limit < upper), default=0.0)
    result = histogram_quantile(quantile, buckets)
    assert result is not None
    assert lower <= result <= upper


def test_a_quantile_above_the_last_limit_is_that_limit() -> None:
    """And None without observations."""
    assert histogram_quantile(0.99, {10.0: 0.0, float("inf"): 5.0}) == 10.0
    assert histogram_quantile(0.5, {10.0: 0.0, float("inf"): 0.0}) is None
    assert histogram_quantile(0.5, {}) is None


@given(st.text())
def test_any_text_is_parsed(text: str) -> None:
    """A newer server or a proxy may send it."""
    assert all(isinstance(sample, MetricSample) for sample in parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "m{" + "a" * 200_000 + "} 1",
        "m{" + "} x " * 50_000,
        "".join(f'nv_inference_request_success{{model="{number}"}} 1\n' for number in range(20_000)),
    ],
    ids=["one-long-label", "many-braces", "many-models"],
)
def test_hostile_metrics_are_read_in_linear_time(text: str) -> None:
    """A pod may serve any text on its metrics port; the time limit of pytest detects quadratic time."""
    found = {"a": looked(text)}
    assert len(rates(found, found, 1.0)) in {0, 20_000}


@pytest.mark.parametrize("value", ["1e999", "-1e999", "nan", "1e308"])
@pytest.mark.parametrize("label", ["0.5", "x", "nan", "inf"])
def test_any_numbers_are_shown(value: str, label: str) -> None:
    labels = f'model="digits",version="1",le="{label}",quantile="{label}"'
    names = ("request_success", "pending_request_count", "request_summary_us", "first_response_histogram_ms_bucket")
    text = "".join(f'nv_inference_{name}{{{labels},gpu="{gpu}"}} {value}\n' for name in names for gpu in "ab")
    found = {"a": looked(text)}
    (rate,) = rates(found, found, 1.0)
    assert rate.pending in {0, int(1e308)}


def test_metrics_without_end_are_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    with web_server({"/metrics": b"x" * (5 << 20)}) as web:
        outcome = tritonctl(capsys, "top", "digits", "--once", "--interval=0.2", "--url", f"127.0.0.1:{web.port}")
    assert outcome.code == 3
    assert "does not respond with metrics" in outcome.err


def test_labels_may_contain_any_character() -> None:
    """Braces, commas and quotes."""
    assert list(parse('a{model="x,}\\"y",version="1"} 2.5e+06 1700000000\n')) == [
        MetricSample("a", {"model": 'x,}"y', "version": "1"}, 2.5e6)
    ]


def test_the_argument_in_the_help_is_allowed() -> None:
    """In the spec of a deployment."""
    argument = "--metrics-config=summary_latencies=true"
    assert argument in EPILOG
    check_extra_args((argument,), None)
    with pytest.raises(InvalidSpecError):
        check_extra_args(("--trace-config=x",), None)


@contextmanager
def metrics_server() -> Iterator[str]:
    """`127.0.0.1:PORT`, whose counters grow with each scrape."""
    looks = chain([START], repeat(LATER))

    with web_server() as web:
        web.answer = lambda _: Answer(body=(COUNTERS % next(looks)).encode())
        yield f"127.0.0.1:{web.port}"


def pod(name: str, *, ready: bool = True) -> dict[str, Any]:
    """A pod."""
    return {
        "metadata": {"name": name, "uid": name},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def test_ready_pods_are_reached_by_their_names(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """One list, and one port-forward for each; a pod that is not ready is skipped."""
    cluster.answer({"metadata": {"name": "digits"}, "spec": {}}, [pod("digits-a"), pod("digits-b", ready=False)])
    with metrics_server() as address:
        cluster.forward(address)
        outcome = tritonctl(capsys, "top", "digits", "--once", "--interval", "0.2", "-o", "json")
    assert outcome.code == 0, outcome.err
    (model,) = json.loads(outcome.out)["models"]
    assert (model["model"], model["batch"], model["meanMs"], model["p99Ms"]) == ("digits", 8.0, 3.0, None)
    (listed,), (forwarded,) = cluster.requests, cluster.calls
    assert "/pods?labelSelector=" in listed
    assert "pod/digits-a :8002" in forwarded


def test_a_note_explains_missing_quantiles(capsys: pytest.CaptureFixture[str]) -> None:
    """And how to enable them."""
    with metrics_server() as address:
        outcome = tritonctl(
            capsys, "top", "digits", "--once", "--interval", "0.2", "--url", f"http://{address}/metrics"
        )
    assert outcome.out.splitlines()[1].split()[:2] == ["digits", "1"]
    assert "no P50 and P99: this server does not record them" in outcome.out
    assert "3.00 ms" in outcome.out


@pytest.mark.parametrize(
    ("pods", "code", "says"), [([], 1, "no ready pod"), ([pod("a", ready=False)], 1, "no ready pod")]
)
def test_no_ready_pod_is_reported_with_advice(
    cluster: FakeCluster,
    capsys: pytest.CaptureFixture[str],
    pods: list[dict[str, Any]],
    code: int,
    says: str,
) -> None:
    """The message says where to look."""
    cluster.answer({"metadata": {"name": "digits"}, "spec": {}}, pods)
    outcome = tritonctl(capsys, "top", "digits", "--once")
    assert outcome.code == code
    assert says in outcome.err


def test_an_unreachable_endpoint_is_exit_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    """The message contains the address."""
    with metrics_server() as address:
        pass
    outcome = tritonctl(capsys, "top", "digits", "--once", "--url", address)
    assert outcome.code == 3
    assert address in outcome.err


@pytest.mark.parametrize(("opened", "arguments"), [(pty.openpty, []), (os.pipe, []), (os.pipe, ["-o", "json"])])
def test_it_continues_until_ctrl_c(opened: Any, arguments: list[str]) -> None:
    """It redraws on a terminal, and prints in a pipe; the second interval is idle."""
    with metrics_server() as address:
        command = [sys.executable, "-m", "triton_operator.cli", "top", "digits", "--interval", "0.2", "--url", address]
        idle = '"requestsPerSecond":0.0' if arguments else " 0.0 "
        reader, writer = opened()
        text, code = run_until([*command, *arguments], reader, writer, idle)
    assert code == 130
    assert "Traceback" not in text
    assert ('"batch":8.0' if arguments else "8.0") in text
