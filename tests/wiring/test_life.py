"""The whole process: start, leadership, probes, outages, shutdown."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.builders import SETTINGS, a_body
from tests.fake_api_server import FakeApiServer
from tests.wiring.conftest import Key, Running
from triton_operator.cluster.connection import TokenFile
from triton_operator.cluster.errors import UnavailableError
from triton_operator.runtime import kopf_watch

DIGITS = ("shop", "digits")
DIGITS_PATH = "/apis/triton-operator.io/v1alpha1/namespaces/shop/modeldeployments/digits"
COLLECTION = "/apis/triton-operator.io/v1alpha1/modeldeployments"
LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/operators/leases/triton-operator"


async def test_probes_succeed_and_metrics_count_requests(operator: Running) -> None:
    """In the normal case."""
    assert await operator.ask("/healthz") == (200, "ok\n")
    assert await operator.ask("/readyz") == (200, "ok\n")
    _, text = await operator.ask("/metrics")
    assert "triton_operator_leader 1.0" in text
    assert 'triton_operator_api_requests_total{code="200",kind="Service",verb="GET"} 1.0' in text
    assert 'triton_operator_watch_idle_seconds{kind="Pod"}' in text


async def test_a_dead_watcher_of_kopf_fails_healthz(operator: Running) -> None:
    """Kopf ignores the cancellation of its watcher and continues without it."""
    assert (await operator.ask("/healthz"))[0] == 200
    watchers = [task for task in asyncio.all_tasks() if task.get_name().startswith(kopf_watch.WATCHER)]
    assert len(watchers) == 1
    watchers[0].cancel()
    await asyncio.wait(watchers)
    assert await operator.ask("/healthz") == (503, "the watch of ModelDeployments is not running\n")


async def test_a_dead_reflector_ends_the_process(operator: Running) -> None:
    """A new process is the remedy; the exit status shows that the end was a failure."""
    tasks = [task for task in operator.process._tasks if task.get_name() == "Reflector"]
    tasks[0].cancel()
    assert await asyncio.wait_for(operator.task, 60) == 1


async def test_nothing_is_reconciled_before_all_lists_are_complete(
    server: FakeApiServer, start: Callable[..., Running]
) -> None:
    """A child that is not in the cache yet must not be created again."""
    await server.put(DIGITS_PATH, a_body())
    server.faults["/api/v1/services"] = [500]
    operator = start()
    await server.seen("GET", "/api/v1/services")
    await operator.process.resync.synced.wait()
    await operator.process.elector.leading.wait()
    assert operator.passes == []
    assert (await operator.ask("/readyz")) == (503, "not listed yet: Service\n")
    await operator.passed(DIGITS)


async def test_it_waits_for_a_crd_that_is_created_later(server: FakeApiServer, start: Callable[..., Running]) -> None:
    """Helm may start the operator before the CRD is established."""
    server.faults[COLLECTION] = [404, 404]
    operator = start()
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    await server.watched("modeldeployments")
    assert (await operator.ask("/healthz"))[0] == 200


async def test_the_second_operator_waits_and_takes_over_when_the_first_ends(
    server: FakeApiServer, start: Callable[..., Running]
) -> None:
    """The Lease is released at the end, so the second does not wait until it expires."""
    first = start()
    await first.process.elector.leading.wait()
    second = start(identity="operator-2")
    await server.put(DIGITS_PATH, a_body())
    await first.passed(DIGITS)
    await server.seen("GET", LEASE_PATH, times=3)
    assert second.passes == []
    assert (await second.ask("/readyz"))[0] == 200
    assert await first.end() == 0
    await second.passed(DIGITS)


async def test_a_failed_pass_is_repeated_and_does_not_stop_the_others(server: FakeApiServer, operator: Running) -> None:
    """After errors of the cluster and of the code."""
    failures: list[Exception] = [UnavailableError("etcd is away"), ZeroDivisionError()]

    async def fail_twice(key: Key) -> None:
        if key == DIGITS and failures:
            raise failures.pop()

    operator.outcome = fail_twice
    await server.put(DIGITS_PATH, a_body())
    await server.put(DIGITS_PATH.replace("digits", "other"), a_body("other"))
    await operator.passed(("shop", "other"))
    await operator.passed(DIGITS, times=3)
    _, text = await operator.ask("/metrics")
    assert 'triton_operator_reconcile_seconds_count{result="error"} 1.0' in text
    assert 'triton_operator_reconcile_seconds_count{result="retry"} 1.0' in text


async def test_a_pass_can_request_another_one(server: FakeApiServer, operator: Running) -> None:
    """For example, for a pod that hangs without an event."""
    answers = [0.05]

    async def once_more(_: Key) -> float | None:
        return answers.pop() if answers else None

    operator.outcome = once_more
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS, times=2)


async def test_an_outage_of_the_api_server_is_no_reason_to_restart(server: FakeApiServer, operator: Running) -> None:
    """Watches end and the API server is unreachable for a while; afterwards everything continues."""
    server.reachable.clear()
    await server.end_watches()
    assert (await operator.ask("/healthz"))[0] == 200
    server.reachable.set()
    await server.watched("modeldeployments", "services", "pods")
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_and_releases_the_lease(
    server: FakeApiServer, operator: Running, number: signal.Signals
) -> None:
    """The running pass finishes, the exit status is 0, and the Lease has no holder."""
    under_way, finished = asyncio.Event(), asyncio.Event()

    async def take_a_moment(_: Key) -> None:
        under_way.set()
        await asyncio.sleep(0.3)
        finished.set()

    operator.outcome = take_a_moment
    await server.put(DIGITS_PATH, a_body())
    await under_way.wait()
    os.kill(os.getpid(), number)
    assert await asyncio.wait_for(operator.task, 60) == 0
    assert finished.is_set()
    lease = server.stored(LEASE_PATH)
    assert lease is not None
    assert "holderIdentity" not in lease["spec"]


async def test_a_pass_that_hangs_does_not_delay_the_end(server: FakeApiServer, operator: Running) -> None:
    """It is cancelled after the time limit of passes."""
    under_way = asyncio.Event()

    async def hang(_: Key) -> None:
        under_way.set()
        await asyncio.Event().wait()

    operator.outcome = hang
    await server.put(DIGITS_PATH, a_body())
    await under_way.wait()
    assert await operator.end() == 0


@pytest.mark.parametrize("code", [500, 504])
async def test_kopf_is_started_again_when_it_ends(server: FakeApiServer, operator: Running, code: int) -> None:
    """Kopf ends after a stream error other than 410; the process keeps the Lease."""
    await server.send("modeldeployments", {"type": "ERROR", "object": {"code": code, "message": "etcd"}})
    await server.seen("GET", "/apis", times=2)
    await server.watched("modeldeployments")
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    assert operator.process.elector.leading.is_set()
    assert (await operator.ask("/healthz"))[0] == 200


async def test_it_waits_for_a_deleted_crd(server: FakeApiServer, operator: Running) -> None:
    """The operator continues when the CRD exists again."""
    assert (await operator.ask("/healthz"))[0] == 200
    so_far = server.requests["GET", COLLECTION]
    server.faults[COLLECTION] = [404, 404, 404]
    await server.end_watches()
    await server.seen("GET", COLLECTION, times=so_far + 3)
    assert (await operator.ask("/healthz"))[0] == 200
    await server.watched("modeldeployments")
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)


async def test_a_renewed_token_is_used_by_all_parts(
    server: FakeApiServer, start: Callable[..., Running], tmp_path: Path
) -> None:
    """Including Kopf; temporary rejections are survived."""
    file = tmp_path / "token"
    file.write_text("one")
    server.tokens = {"one"}
    operator = start(token=TokenFile(file))
    await server.watched("modeldeployments", "services")
    server.tokens = {"two"}
    await server.end_watches()
    await server.seen("GET", COLLECTION, times=4)
    file.write_text("two")
    await server.watched("modeldeployments", "services")
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)


async def test_a_separate_process_ends_cleanly_on_sigterm(server: FakeApiServer, tmp_path: Path) -> None:
    """Started like the container: the exit status is 0, and every line of its log is JSON."""
    settings = tmp_path / "settings.json"
    settings.write_bytes(msgspec.json.encode(SETTINGS))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(server=server.url))
    operator = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "triton_operator.runtime", "--settings", str(settings)),
        *("--kubeconfig", str(kubeconfig), "--listen", "127.0.0.1", "--metrics-port", "0"),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "operator"), "POD_NAMESPACE": "operators"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        await server.watched("modeldeployments", "services", "pods")
    operator.terminate()
    _, errors = await asyncio.wait_for(operator.communicate(), 60)
    assert operator.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["level"] for line in lines] == ["info"] * len(lines)
    assert lines[-1]["message"] == "stopped"
    lease = server.stored(LEASE_PATH)
    assert lease is not None
    assert "holderIdentity" not in lease["spec"]


KUBECONFIG = """
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
clusters: [{{name: here, cluster: {{server: "{server}"}}}}]
users: [{{name: me, user: {{token: x}}}}]
"""


async def test_a_success_without_json_is_retried(server: FakeApiServer, start: Callable[..., Running]) -> None:
    """A proxy's page instead of lists and of the Lease: both are requested again."""
    await server.put(DIGITS_PATH, a_body())
    server.pages[COLLECTION] = [b"<html>"]
    server.pages[LEASE_PATH] = [b"<html>"]
    operator = start()
    await operator.passed(DIGITS)
    assert not operator.task.done()


async def test_objects_of_a_restored_backup_are_served_again(server: FakeApiServer, operator: Running) -> None:
    """Their versions are smaller than the known ones; an object that the backup lacks is deleted."""
    other = DIGITS_PATH.replace("digits", "other")
    for path in (DIGITS_PATH, other):
        await server.put(path, a_body(path.rsplit("/", 1)[-1]))
    await operator.passed(("shop", "other"))
    await operator.quiet()
    server.restore(50, DIGITS_PATH)
    await operator.process.resync.succeed()
    assert operator.cache.deployments.keys() == {DIGITS}
    known = operator.cache.deployments.get(DIGITS)
    assert known is not None
    assert known.resource_version == 50


async def test_an_object_forgotten_after_a_404_returns_with_the_next_list(
    server: FakeApiServer, operator: Running
) -> None:
    """If it exists after all."""
    await server.put(DIGITS_PATH, a_body())
    await operator.passed(DIGITS)
    operator.cache.deployments.remove(*DIGITS)
    await operator.process.resync.succeed()
    assert operator.cache.deployments.keys() == {DIGITS}
