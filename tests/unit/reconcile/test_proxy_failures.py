"""The sidecar `proxy` reports its own problem, which prevents Triton from becoming ready."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, a_pod, ended_prepare, ended_server, prepared, serving
from tests.fakes import World
from triton_operator.api.conditions import PREPARE_REASONS
from triton_operator.cluster.observed import Container, Terminated
from triton_operator.triton.prepare_contract.outcome import PrepareFailed, encode
from triton_operator.triton.proxy_contract.outcome import ProxyFailed, read

MISSING = "the serving certificate is missing: tls.crt"


def a_proxy(message: str = "", *, ready: bool = False, exit_code: int = 1, reason: str = "Error") -> Container:
    """The sidecar after its last end; with `ready`, it listens again."""
    text = msgspec.json.encode(ProxyFailed(message)).decode() + "\n" if message else ""
    end = Terminated(exit_code=exit_code, reason=reason, message=text, started_at=NOW, finished_at=NOW)
    return Container(
        name="proxy",
        init=True,
        ready=ready,
        running=True,
        started=True,
        last_terminated=end,
        restarts=1,
        memory_limit="256Mi",
    )


async def with_pod(*containers: Container) -> World:
    """The only pod of a deployment with TLS."""
    world = World(privacy={"tls": {"mode": "Secret", "secretRef": {"name": "certificate"}}})
    await world.reconcile()
    world.roll_out(a_pod(revision=world.template_hash, containers=containers, phase="Running"))
    await world.reconcile()
    return world


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        (MISSING, "CertificateInvalid", f"container proxy: {MISSING}"),
        ("the policy is missing: policy.json", "Crashed", "container proxy: the policy is missing: policy.json"),
        ("", "Crashed", "container proxy: terminated with exit code 1"),
    ],
)
async def test_the_proxy_is_quoted(message: str, reason: str, text: str) -> None:
    """It has restarted and waits for its files again, which is no progress."""
    world = await with_pod(prepared(), a_proxy(message), serving(ready=False, started=False))
    ready = world.condition("Ready")
    assert ready.reason == reason
    assert text in ready.message
    assert world.status.last_failure is not None
    assert (world.status.last_failure.container, world.status.last_failure.reason) == ("proxy", reason)


async def test_its_problem_is_reported_before_that_of_triton_and_after_that_of_prepare() -> None:
    world = await with_pod(prepared(), a_proxy(MISSING), ended_server("no model"))
    assert world.condition("Ready").reason == "CertificateInvalid"
    failed = ended_prepare(encode(PrepareFailed(min(PREPARE_REASONS), "digits", "no")).decode())
    world = await with_pod(failed, a_proxy(MISSING))
    assert world.condition("Ready").reason == min(PREPARE_REASONS)


async def test_a_proxy_that_listens_again_is_no_failure() -> None:
    world = await with_pod(prepared(), a_proxy(MISSING, ready=True), serving(ready=False, started=False))
    assert world.condition("Ready").reason == "RollingOut"


async def test_its_lack_of_memory_names_its_own_field() -> None:
    world = await with_pod(prepared(), a_proxy(exit_code=137, reason="OOMKilled"), serving(ready=False))
    ready = world.condition("Ready")
    assert ready.reason == "OutOfMemory"
    assert ready.message == (
        "container proxy exceeded its memory limit of 256Mi and was killed; "
        "try spec.privacy.proxy.resources.limits.memory: 384Mi; the container is restarted automatically"
    )


@given(st.text())
def test_any_other_text_is_no_report_of_the_proxy(text: str) -> None:
    assert read(text) == ""
    assert read(f"{text}\n" + msgspec.json.encode(ProxyFailed(text)).decode()) == text
