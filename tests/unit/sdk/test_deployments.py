"""Deploying, waiting, reading and deleting, against an API server in the test's process: clients and command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.fake_api_server import FakeApiServer
from tests.tritonctl import Outcome, tritonctl
from triton_operator.sdk import (
    AsyncClient,
    Client,
    DeploymentNotFoundError,
    DeploymentStatus,
    InvalidRequestError,
    KubeContext,
    NotReadyError,
    ObjectChangedError,
    RejectedError,
    UnreachableError,
)
from triton_operator.sdk.cluster_errors import error_of_response
from triton_operator.sdk.deployments import Deployments
from triton_operator.sdk.manifest import manifest_of, read_manifests
from triton_operator.sdk.status import NOT_SEEN, OUTDATED, judge
from triton_operator.sdk.stop import Stop
from triton_operator.sdk.waiting import wait_until_ready

COLLECTION = "/apis/triton-operator.io/v1alpha1/namespaces/models/modeldeployments"
DIGITS = f"{COLLECTION}/digits"
MANIFEST: dict[str, Any] = {
    "apiVersion": "triton-operator.io/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "digits", "namespace": "models"},
    "spec": {"models": [{"name": "digits"}], "modelRepository": {"image": {"reference": "models:1"}}},
}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    """One condition of a status."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def reported(*conditions: dict[str, Any], generation: int = 1, observed: int = 1) -> dict[str, Any]:
    """The deployment with a status of an operator."""
    status = {"observedGeneration": observed, "conditions": list(conditions)}
    return MANIFEST | {"metadata": {**MANIFEST["metadata"], "generation": generation}, "status": status}


READY = reported(condition("Ready", "True", "Serving", "all is well"))
ROLLING_OUT = reported(condition("Ready", "False", "RollingOut", "0 of 1"))
STALLED = reported(
    condition("Ready", "False", "ModelLoadFailed", "no such file"), condition("Stalled", "True", "ModelLoadFailed")
)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[tuple[FakeApiServer, KubeContext]]:
    """An API server, and its kubeconfig; the context's namespace is `models`."""
    async with FakeApiServer().running() as server:
        file = tmp_path / "kubeconfig"
        context = {"cluster": "c", "user": "u", "namespace": "models"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": context}],
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        file.write_text(yaml.safe_dump(config))
        yield server, KubeContext(kubeconfig=str(file))


@pytest.fixture
def server(cluster: tuple[FakeApiServer, KubeContext]) -> FakeApiServer:
    """The API server."""
    return cluster[0]


@pytest.fixture
def client(cluster: tuple[FakeApiServer, KubeContext]) -> AsyncClient:
    """A client for `digits`; it is not opened, because no request is sent to the deployment itself."""
    return AsyncClient("digits", "models", cluster=cluster[1])


async def test_a_file_is_applied_on_the_server(server: FakeApiServer, client: AsyncClient, tmp_path: Path) -> None:
    """With the SDK's field manager, and without fields that only the server writes."""
    file = tmp_path / "digits.yaml"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}}
    file.write_text(yaml.safe_dump_all([secret, READY | {"metadata": {"name": "digits", "uid": "1", "generation": 7}}]))
    status = await client.deploy(file)
    assert (status.name, status.namespace, status.ready) == ("digits", "models", False)
    assert server.bodies["PATCH", DIGITS] == [MANIFEST | {"metadata": {"name": "digits"}}]
    query = server.queries[DIGITS][0]
    assert query == {"fieldManager": "triton-operator-sdk", "force": "false", "fieldValidation": "Strict"}


async def test_a_spec_is_applied_from_keyword_arguments(server: FakeApiServer, client: AsyncClient) -> None:
    """In Python's naming; models may be names."""
    await client.deploy(models=["digits"], model_repository={"image": {"reference": "models:1"}})
    assert server.bodies["PATCH", DIGITS] == [MANIFEST]


def test_an_invalid_deployment_is_reported(tmp_path: Path) -> None:
    """Before a request is sent."""
    for file, spec, sentence in (
        (None, {"model": []}, "model: is not a field of a spec; did you mean models"),
        (MANIFEST, {"replicas": 2}, "replicas: is set in addition to a manifest"),
        (MANIFEST | {"metadata": {"name": "other"}}, {}, "metadata.name: is other, and this client is for digits"),
        (MANIFEST | {"metadata": {"name": "digits", "namespace": "x"}}, {}, r"Client\('digits', 'x'\)"),
        (MANIFEST | {"kind": "Pod"}, {}, "kind: is 'Pod', expected ModelDeployment"),
        (MANIFEST | {"metadata": {}}, {}, "metadata.name: is missing"),
        (tmp_path / "none.yaml", {}, "No such file"),
    ):
        with pytest.raises(InvalidRequestError, match=sentence):
            manifest_of("digits", "models", file, spec)
    for text, sentence in (("[1]", "not a Kubernetes object"), ("{", "is not YAML"), ("", "has no ModelDeployment")):
        (tmp_path / "file.yaml").write_text(text)
        with pytest.raises(InvalidRequestError, match=sentence):
            read_manifests(tmp_path / "file.yaml")


async def test_a_list_has_several(tmp_path: Path) -> None:
    """As `kubectl get -o yaml` writes it."""
    file = tmp_path / "list.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [MANIFEST, READY]}))
    assert [each["metadata"]["name"] for each in read_manifests(file)] == ["digits", "digits"]


async def test_waiting_follows_every_reason_until_ready(server: FakeApiServer, client: AsyncClient) -> None:
    """By a watch: each change is received once, and the object is read once."""
    await server.put(DIGITS, MANIFEST)
    reasons: list[str] = []
    waiting = asyncio.create_task(client.wait_ready(20, lambda status: reasons.append(status.reason)))
    await server.watched("modeldeployments")
    await server.put(f"{COLLECTION}/other", READY | {"metadata": {"name": "other", "namespace": "models"}})
    await server.put(DIGITS, ROLLING_OUT)
    await server.put(DIGITS, ROLLING_OUT | {"spec": {}})
    await server.put(DIGITS, READY)
    status = await waiting
    assert (status.ready, status.reason, status.message) == (True, "Serving", "all is well")
    assert reasons == [NOT_SEEN, "RollingOut", "Serving"]
    assert sum("watch" not in query for query in server.queries[COLLECTION]) == 1
    assert server.requests["GET", DIGITS] == 0


async def test_a_stalled_deployment_ends_the_wait_with_its_reason(server: FakeApiServer, client: AsyncClient) -> None:
    """Waiting would not change it."""
    await server.put(DIGITS, STALLED)
    with pytest.raises(NotReadyError, match="models/digits: not Ready: ModelLoadFailed: no such file") as failure:
        await client.wait_ready(20)
    assert (failure.value.reason, failure.value.stalled) == ("ModelLoadFailed", True)


def test_the_end_of_the_wait_ends_the_watch() -> None:
    """Immediately: otherwise, the traceback of a failure would keep the connection open."""
    ended = []

    def changes() -> Generator[dict[str, Any]]:
        try:
            yield STALLED
        finally:
            ended.append("the watch")

    with pytest.raises(NotReadyError) as failure:
        wait_until_ready(changes(), 20)
    assert failure.value.stalled
    assert ended == ["the watch"]


async def test_a_timeout_reports_the_last_reason(server: FakeApiServer, client: AsyncClient) -> None:
    """And that it may still become Ready."""
    await server.put(DIGITS, ROLLING_OUT)
    with pytest.raises(NotReadyError, match=r"models/digits after 1 s: not Ready: RollingOut") as failure:
        await client.wait_ready(1)
    assert not failure.value.stalled


async def test_a_deleted_deployment_ends_the_wait(server: FakeApiServer, client: AsyncClient) -> None:
    """It will not come back."""
    await server.put(DIGITS, ROLLING_OUT)
    waiting = asyncio.create_task(client.wait_ready(20))
    await server.watched("modeldeployments")
    await server.remove(DIGITS)
    with pytest.raises(DeploymentNotFoundError, match="deleted"):
        await waiting


async def test_an_interrupted_watch_is_restarted(server: FakeApiServer, client: AsyncClient) -> None:
    """Changes in between are read."""
    await server.put(DIGITS, ROLLING_OUT)
    waiting = asyncio.create_task(client.wait_ready(20))
    await server.watched("modeldeployments")
    await server.send(
        "modeldeployments", {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": ""}}
    )
    await server.put(DIGITS, READY)
    await server.end_watches()
    assert (await waiting).ready


async def test_a_cancelled_wait_leaves_no_thread_behind(server: FakeApiServer, client: AsyncClient) -> None:
    """The read of the next event ends immediately; otherwise, the program could not exit before the timeout."""
    await server.put(DIGITS, MANIFEST)
    rolling_out = asyncio.Event()

    def record(status: DeploymentStatus) -> None:
        if status.reason == "RollingOut":
            rolling_out.set()

    waiting = asyncio.create_task(client.wait_ready(300, record))
    await server.watched("modeldeployments")
    await server.put(DIGITS, ROLLING_OUT)
    await rolling_out.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(60):
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_status_and_deletion(server: FakeApiServer, client: AsyncClient) -> None:
    """The status is typed, and only the object that was read is deleted."""
    await server.put(DIGITS, READY)
    status = await client.status()
    assert isinstance(status, DeploymentStatus)
    assert status.details.conditions[0].reason == "Serving"
    await client.delete()
    assert server.stored(DIGITS) is None
    for call in (client.status(), client.delete()):
        with pytest.raises(DeploymentNotFoundError):
            await call


async def test_without_asyncio_it_is_the_same(server: FakeApiServer, cluster: tuple[Any, KubeContext]) -> None:
    """In the calling thread."""
    client = Client("digits", cluster=cluster[1])
    await asyncio.to_thread(client.deploy, None, models=["digits"])
    await server.put(DIGITS, READY)
    assert (await asyncio.to_thread(client.wait_ready, 20)).ready
    assert (await asyncio.to_thread(client.status)).ready
    await asyncio.to_thread(client.delete)
    assert server.stored(DIGITS) is None


def test_only_conditions_of_the_latest_generation_count() -> None:
    """Neither a Ready nor a Stalled of the previous generation counts."""
    assert judge(READY).ready
    assert judge(MANIFEST).reason == NOT_SEEN
    outdated = judge(reported(*STALLED["status"]["conditions"], generation=2, observed=1))
    assert (outdated.ready, outdated.reason, outdated.stalled) == (False, OUTDATED, False)
    assert judge(STALLED).stalled


def test_a_timeout_before_the_first_read_is_an_error() -> None:
    """The time may be over before it starts."""
    with pytest.raises(NotReadyError, match="time limit expired"):
        wait_until_ready(Deployments().follow("digits", "models", seconds=0), 0)


class Answer(NamedTuple):
    """A response of the API server."""

    status: int
    body: Any = None


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (Answer(404, "404 page not found"), DeploymentNotFoundError, "install the chart"),
        (
            Answer(404, {"message": "not found", "details": {"name": "digits"}}),
            DeploymentNotFoundError,
            "get modeldeployments",
        ),
        (Answer(403, {"message": "may not"}), RejectedError, "may not"),
        (Answer(401, {"message": "Unauthorized"}), RejectedError, "log in"),
        (
            Answer(409, {"message": "conflict", "details": {"causes": [{"reason": "FieldManagerConflict"}]}}),
            RejectedError,
            "--force",
        ),
        (Answer(409, {"message": "the object has been modified"}), ObjectChangedError, "has been modified"),
        (
            Answer(422, {"details": {"causes": [{"field": "spec.models", "message": "Required"}]}}),
            InvalidRequestError,
            "spec.models: Required",
        ),
        (Answer(400, {"message": 'unknown field "spec.modelz"'}), InvalidRequestError, "modelz"),
        (
            Answer(
                500,
                {"message": "failed to create typed patch object (/x; v1, Kind=K): .spec.modelz: field not declared"},
            ),
            InvalidRequestError,
            "spec.modelz: field not declared",
        ),
        (Answer(503, ""), UnreachableError, "503"),
        (Answer(499, {"message": "client closed request"}), RejectedError, "client closed request"),
        (Answer(430, ""), RejectedError, "because"),
        (Answer(403, {"message": {"error": "denied"}}), RejectedError, "because"),
        (Answer(404, {"message": "gone", "details": None}), DeploymentNotFoundError, "install the chart"),
        (Answer(400, {"message": None, "details": {"causes": [None]}}), InvalidRequestError, "manifest: because"),
        (Answer(400, {"details": "no such route"}), InvalidRequestError, "manifest: because"),
        (Answer(500, "[" * 100_000), UnreachableError, "because"),
    ],
)
def test_each_response_of_the_api_server_has_its_error(answer: Answer, kind: type[Exception], sentence: str) -> None:
    """With advice."""
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    error = error_of_response(answer.status, body, "because")
    assert type(error) is kind
    assert sentence in str(error)


async def test_a_cluster_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    """And so is one without a kubeconfig."""
    missing = Deployments(KubeContext(kubeconfig=str(tmp_path / "none")))
    with pytest.raises(UnreachableError, match="no cluster is configured"):
        missing.read("digits")


async def run(capsys: pytest.CaptureFixture[str], kubectl: KubeContext, *arguments: object) -> Outcome:
    """`tritonctl deploy` in a thread, because this thread runs the API server."""
    options = ("--kubeconfig", kubectl.kubeconfig)
    return await asyncio.to_thread(tritonctl, capsys, "deploy", *arguments, *options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two deployments in a file."""
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump_all([MANIFEST, MANIFEST | {"metadata": {"name": "letters"}}]))
    return path


async def test_the_command_applies_all_and_waits_for_each(
    capsys: pytest.CaptureFixture[str], cluster: tuple[FakeApiServer, KubeContext], file: Path
) -> None:
    """Results on standard output, reasons on standard error, exit status 0 if all are Ready."""
    server, kubectl = cluster
    command = asyncio.create_task(run(capsys, kubectl, "-f", file, "--wait", "--timeout", "20"))
    for name in ("digits", "letters"):
        await server.seen("PATCH", f"{COLLECTION}/{name}")
    await server.seen("GET", COLLECTION, 4)  # A list and a watch for each.
    for name in ("digits", "letters"):
        await server.put(f"{COLLECTION}/{name}", READY | {"metadata": {"name": name, "namespace": "models"}})
    while not command.done():  # Who began to watch in between has missed it, and reads again when the watch ends.
        await server.end_watches()
        await asyncio.wait([command], timeout=0.2)
    outcome = await command
    assert (outcome.code, sorted(outcome.out.splitlines())) == (
        0, ["models/digits Ready", "models/digits applied", "models/letters Ready", "models/letters applied"],
    )  # fmt: skip
    assert f"digits: {NOT_SEEN}: " in outcome.err
    assert server.queries[DIGITS][0]["fieldManager"] == "tritonctl"


async def test_the_command_fails_with_the_reason(
    capsys: pytest.CaptureFixture[str], cluster: tuple[FakeApiServer, KubeContext], tmp_path: Path
) -> None:
    """Exit status 1 if not Ready, 2 for an invalid file, 3 without a cluster."""
    server, kubectl = cluster
    file = tmp_path / "one.yaml"
    file.write_text(yaml.safe_dump(STALLED))
    await server.put(DIGITS, STALLED)
    outcome = await run(capsys, kubectl, "-f", file, "--wait")
    assert outcome.code == 1
    assert "error: models/digits: not Ready: ModelLoadFailed: no such file" in outcome.err
    assert (await run(capsys, kubectl, "-f", file, "-n", "other")).code == 2
    assert (await run(capsys, kubectl, "-f", tmp_path / "none.yaml")).code == 2
    assert (await run(capsys, KubeContext(kubeconfig=str(tmp_path / "none")), "-f", file)).code == 3


def test_a_stop_before_the_start_ends_it() -> None:
    """Ctrl-C may arrive at any time."""
    stop = Stop()
    stop.now()
    assert list(Deployments().follow("digits", "models", seconds=60, stop=stop)) == []
