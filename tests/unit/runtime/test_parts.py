"""Small parts of the process: flags, log records, and the state behind the probes."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from triton_operator.runtime import kopf_watch
from triton_operator.runtime.logs import BURST, WINDOW, JsonFormatter, RepetitionFilter, current_key
from triton_operator.runtime.options import parse
from triton_operator.runtime.probes import GRACE, STALE, Probes
from triton_operator.runtime.restarts import HEALTHY, restart_forever
from triton_operator.runtime.watch_progress import WatchProgress

POD = {
    "TRITON_OPERATOR_SETTINGS": "/etc/triton-operator/settings.json",
    "WATCH_NAMESPACE": "",
    "POD_NAME": "operator-1",
    "POD_NAMESPACE": "operators",
    "LOG_LEVEL": "debug",
}


def test_a_pod_is_configured_by_its_environment() -> None:
    """As the chart sets it; an empty namespace means all."""
    options = parse([], POD)
    assert options.settings == Path("/etc/triton-operator/settings.json")
    assert (options.namespace, options.own_namespace, options.identity) == (None, "operators", "operator-1")
    assert (options.listen, options.metrics_port, options.log_level, options.workers) == ("", 8080, "DEBUG", 16)


def test_flags_override_the_environment() -> None:
    """For running outside a cluster."""
    options = parse(["--settings", "s.json", "--namespace", "shop", "--kubeconfig", "k", "--metrics-port", "0"], POD)
    assert (options.settings, options.kubeconfig) == (Path("s.json"), Path("k"))
    assert (options.namespace, options.metrics_port) == ("shop", 0)


def test_missing_settings_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """The message says how to set them."""
    with pytest.raises(SystemExit) as ended:
        parse([], {})
    assert ended.value.code == 2
    assert "set --settings or TRITON_OPERATOR_SETTINGS" in capsys.readouterr().err


def a_record(
    message: str = "hello %s", *args: object, level: int = logging.WARNING, name: str = "x"
) -> logging.LogRecord:
    """A log record."""
    return logging.LogRecord(name, level, __file__, 1, message, args, None)


def test_a_record_is_one_line_of_json_with_the_deployment_at_work() -> None:
    """Workers set the deployment, so log statements need not contain it."""
    token = current_key.set(("shop", "digits"))
    try:
        line = JsonFormatter().format(a_record("line\n%s", "two"))
    finally:
        current_key.reset(token)
    assert "\n" not in line
    record = json.loads(line)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "warning",
        "message": "line\ntwo",
        "logger": "x",
        "namespace": "shop",
        "name": "digits",
    }


def test_a_record_cannot_control_the_terminal_of_its_reader() -> None:
    """JSON alone does not escape 8-bit and bidirectional controls."""
    line = JsonFormatter().format(a_record("a\x9b2J\u202e%s\x1b", "\x1b[2J"))
    assert line.isprintable()
    assert json.loads(line)["message"] == r"a\x9b2J\u202e\x1b[2J\x1b"


def test_a_traceback_is_a_field() -> None:
    """The record is still one line."""
    try:
        _divide()
    except ZeroDivisionError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (type(error), error, None))
    assert "ZeroDivisionError: division by zero" in json.loads(JsonFormatter().format(record))["error"]


def test_repeated_messages_are_counted_instead_of_written() -> None:
    """Per template: failures of 500 deployments are one message."""
    clock = FakeClock()
    repetition = RepetitionFilter(clock)
    passed = [repetition.filter(a_record("trying again: %s", number)) for number in range(500)]
    assert passed.count(True) == BURST
    assert repetition.filter(a_record("another"))
    assert all(repetition.filter(a_record("news %s", number, level=logging.INFO)) for number in range(500))
    clock.now += WINDOW
    last = a_record("trying again: %s", "last")
    assert repetition.filter(last)
    assert last.getMessage() == "trying again: last (490 similar messages suppressed)"


def test_kopfs_messages_are_recognised_by_their_beginning() -> None:
    """Kopf formats its messages itself, with the number of the attempt."""
    repetition = RepetitionFilter(FakeClock())
    messages = [f"Request attempt #{number} failed; will retry: GET ..." for number in range(100)]
    passed = [repetition.filter(a_record(message, name="kopf._cogs.clients.api")) for message in messages]
    assert passed.count(True) <= 2 * BURST


def test_kopf_tries_forever_with_pauses_up_to_half_a_minute() -> None:
    """Every request starts with short pauses again."""
    endless = kopf_watch.EndlessBackoff()
    for _ in range(2):
        pauses = list(itertools.islice(endless, 100))
        assert pauses[0] <= 0.5
        assert 15 <= pauses[-1] <= 30


async def test_kopf_may_take_a_minute_to_watch_but_never_stop() -> None:
    """As the check of its watcher requires."""
    clock = FakeClock()
    signs = Probes([], None, None, None, None, WatchProgress(clock), clock)  # type: ignore[arg-type] # only the watcher is looked at
    assert signs._watcher_dead() is None
    signs.watcher_expected()
    clock.now += GRACE - 1
    assert signs._watcher_dead() is None
    clock.now += 2
    assert signs._watcher_dead() == "the watch of ModelDeployments is not running"
    forever = asyncio.Event().wait()
    watcher = asyncio.create_task(forever, name="watcher for modeldeployments.v1alpha1.triton-operator.io@None")
    assert signs._watcher_dead() is None
    watcher.cancel()
    await asyncio.wait([watcher])
    assert signs._watcher_dead() == "the watch of ModelDeployments is not running"
    signs.watcher_excused()
    clock.now += 1000
    assert signs._watcher_dead() is None
    signs.watcher_expected()
    clock.now += GRACE + 1
    assert signs._watcher_dead() == "the watch of ModelDeployments is not running"


async def test_a_watch_without_progress_is_reported_by_the_probe() -> None:
    """Kopf may be restarted repeatedly; the time since the first failing event counts."""
    clock = FakeClock()
    progress = WatchProgress(clock)
    signs = Probes([], None, None, None, None, progress, clock)  # type: ignore[arg-type] # only the watcher is looked at
    clock.now += 10 * STALE
    assert signs._watcher_stuck() is None  # A quiet cluster.
    progress.received()
    clock.now += STALE - 1
    progress.received()
    clock.now += 2
    assert signs._watcher_stuck() == f"the watch of ModelDeployments is stuck at one object for {STALE + 1:.0f} s"
    progress.finished()
    assert signs._watcher_stuck() is None


async def test_pauses_before_a_restart_grow_only_while_it_ends_soon() -> None:
    """Seven quick ends, then one after a long run; failures and normal ends alike."""
    clock, stop = FakeClock(), asyncio.Event()
    lives = [1.0] * 7 + [HEALTHY + 1, 1.0]

    async def live() -> None:
        clock.now += lives.pop(0)
        if not lives:
            stop.set()
        if len(lives) % 2:
            raise ConnectionError

    await restart_forever("it", live, stop, clock=clock, pause=clock.pause)
    assert len(clock.pauses) == 9
    assert clock.pauses[6] >= 30
    assert clock.pauses[7] <= 1


def _divide() -> float:
    return 1 / 0
