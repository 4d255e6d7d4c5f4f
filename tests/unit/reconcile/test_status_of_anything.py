"""For any state of a pod, the status is one that the API server accepts.

A status that raises an exception, or that the API server rejects, would be retried indefinitely, and users would not
see the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import NOW, a_deployment
from tests.paths import ROOT
from triton_operator.api.scan import ScanFinding, ScanResult
from triton_operator.api.status import Status
from triton_operator.cluster.observed import Container, ObservedCondition, Pod, PodEvent, Terminated
from triton_operator.reconcile.assessment import assess
from triton_operator.reconcile.failed_writes import Blocked
from triton_operator.reconcile.observed_state import ObservedState
from triton_operator.reconcile.status import derive_status
from triton_operator.reconcile.times import parse_time
from triton_operator.resources.revision import RevisionSummary
from triton_operator.triton.prepare_contract.outcome import Prepared, PreparedModel, PrepareFailed, encode

CRD = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text())
STATUS = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
REVISION = RevisionSummary(template_hash="r", server_image="x", server_version="26.11", config_name="c")

ANY_FINDING = ScanFinding("K" * 300, "f\n" * 900, "e" * 3000, "m\u202e" * 900)
ANY_RESULT = ScanResult(10**18, (ANY_FINDING,) * 99)

WORDS = st.sampled_from(
    [
        "",
        "Evicted",
        "OutOfcpu",
        "ImagePullBackOff",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "ContainerCreating",
        "OOMKilled",
        "Completed",
        "FailedMount",
        "Failed",
        "Ready",
        "PodScheduled",
        "True",
        "False",
        "Pending",
        "Running",
    ]
)
SENTENCES = st.sampled_from(
    [
        "back-off 1h2m3.5s restarting failed container=triton",
        "back-off 99999999999999h restarting failed container=triton",
        "failed to load 'digits' version 1: Internal: no",
        "warm-up of model 'digits' version 1 failed: no",
        "failed to load '" + "m" * 400 + "' version " + "9" * 400 + ": x",
        'Usage of EmptyDir volume "models" exceeds the limit "16Mi"',
        encode(PrepareFailed("SourceNotFound", "digits", "https://x is not there")).decode(),
        encode(PrepareFailed("no reason\n at all", "m" * 90, "x" * 900)).decode(),
        encode(Prepared((PreparedModel("digits", ("1", "v" * 900), "d" * 900),))).decode(),
        encode(Prepared((PreparedModel("digits", tuple(map(str, range(3000)))),))).decode(),
        encode(Prepared((PreparedModel("digits", scan=ScanResult(-5, (ANY_FINDING,) * 99)),))).decode(),
        msgspec.json.encode(
            Prepared((PreparedModel("digits", scan=ScanResult(10**18, (ANY_FINDING,) * 99)),))
        ).decode(),
    ]
)
TEXT = WORDS | SENTENCES | st.text(max_size=60)
TIMES = st.sampled_from(["", NOW, "2026-01-02T02:54:00Z", "0001-01-01T00:00:00Z", "now", "2026-01-02"])
ENDS = st.builds(
    Terminated,
    exit_code=st.sampled_from([-1, 0, 0, 0, 1, 137, 300]),
    reason=TEXT,
    signal=st.integers(-1, 80),
    message=SENTENCES | TEXT,
    started_at=TIMES,
    finished_at=TIMES,
)
CONTAINERS = st.builds(
    Container,
    name=st.sampled_from(["prepare", "prepare", "triton", "other"]),
    init=st.booleans(),
    ready=st.booleans(),
    started=st.booleans(),
    restarts=st.integers(0, 3),
    running=st.booleans(),
    waiting_reason=TEXT,
    waiting_message=TEXT,
    terminated=st.none() | ENDS,
    last_terminated=st.none() | ENDS,
    memory_limit=st.sampled_from(["", "1Gi", "1e3", "what"]),
    startup_seconds=st.sampled_from([0, 600]),
)
ENDED_PREPARES = st.builds(
    Container,
    name=st.just("prepare"),
    init=st.just(True),
    terminated=st.builds(Terminated, exit_code=st.sampled_from([0, 1]), message=SENTENCES),
)
CONDITIONS = st.builds(ObservedCondition, type=TEXT, status=WORDS, reason=TEXT, message=TEXT)
PODS = st.builds(
    Pod,
    namespace=st.just("shop"),
    name=st.sampled_from(["digits-1", "digits-2"]),
    uid=st.sampled_from(["a", "b", "c"]),
    resource_version=st.just(1),
    deployment=st.just("digits"),
    revision=st.sampled_from(["r", "r", "older"]),
    created_at=TIMES,
    deleting=st.booleans(),
    node=st.sampled_from(["", "node-1"]),
    phase=WORDS,
    reason=TEXT,
    message=TEXT,
    conditions=st.lists(CONDITIONS, max_size=3).map(tuple),
    containers=st.lists(CONTAINERS | ENDED_PREPARES, max_size=3).map(tuple),
    claims=st.lists(st.text(max_size=5), max_size=2).map(tuple),
)
EVENTS = st.lists(st.builds(PodEvent, type=WORDS, reason=WORDS, message=TEXT), max_size=3).map(tuple)


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(
    pods=st.lists(PODS, max_size=3).map(tuple),
    events=EVENTS,
    blocked=st.none() | st.builds(Blocked, reason=st.just("InvalidSpec"), message=TEXT),
    gpu=st.booleans(),
)
def test_the_api_server_accepts_the_status(
    pods: tuple[Pod, ...], events: tuple[PodEvent, ...], blocked: Blocked | None, gpu: bool
) -> None:
    """Twice in a row, because the second status is derived from the first."""
    deployment = a_deployment(gpu={"count": 1} if gpu else None)
    previous: Status | None = None
    for _ in range(2):
        seen = ObservedState(
            deployment=deployment,
            status=previous,
            children={},
            pods=pods,
            pod_events={pod.uid: events for pod in pods},
            now=datetime(2026, 1, 2, 3, 5, tzinfo=UTC),
        )
        previous = derive_status(assess(seen, blocked, REVISION))
        assert [*violations(json.loads(msgspec.json.encode(previous)), STATUS, "status")] == []


@given(st.text() | TIMES)
def test_an_invalid_time_is_none(text: str) -> None:
    """A valid time has a zone, so that it can be compared."""
    parsed = parse_time(text)
    assert parsed is None or parsed.tzinfo is not None


def violations(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """The places where a value violates the schema; supports the subset of OpenAPI that the status uses."""
    if value is None:
        yield from [] if schema.get("nullable") else [f"{path}: null"]
    else:
        yield from _VIOLATIONS[schema["type"]](value, schema, path)


def _of_an_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{name}: missing" for name in schema.get("required", []) if name not in value)
    for name, below in value.items():
        yield from violations(below, schema["properties"][name], f"{path}.{name}")


def _of_a_list(value: list[Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    if len(value) > schema["maxItems"]:
        yield f"{path}: {len(value)} items"
    if by := schema.get("x-kubernetes-list-map-keys"):
        keys = [tuple(item[key] for key in by) for item in value]
        yield from [] if len(keys) == len(set(keys)) else [f"{path}: named twice"]
    for index, item in enumerate(value):
        yield from violations(item, schema["items"], f"{path}[{index}]")


def _of_a_text(value: str, schema: dict[str, Any], path: str) -> Iterator[str]:
    fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    if not fits or value not in schema.get("enum", [value]) or not re.search(schema.get("pattern", ""), value):
        yield f"{path}: {value!r}"


def _of_a_number(value: int, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not schema.get("minimum", -(2**31)) <= value < 2**31:
        yield f"{path}: {value}"


_VIOLATIONS: dict[str, Any] = {
    "object": _of_an_object,
    "array": _of_a_list,
    "string": _of_a_text,
    "integer": _of_a_number,
    "boolean": lambda value, schema, path: [] if isinstance(value, bool) else [f"{path}: {schema}"],
}
