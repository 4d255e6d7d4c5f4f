"""`prepare` as a process of a pod: flags, exit codes and messages."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core_dumps import core_dumps_allowed
from tests.pod_folders import Pod
from triton_operator.api.conditions import Reason
from triton_operator.prepare.__main__ import describe, main
from triton_operator.triton.prepare_contract.outcome import MISTAKE
from triton_operator.triton.prepare_contract.request import Preparation, PreparationModel, decode, encode


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Create a pod whose object requests the model `digits`."""
    return Pod(tmp_path)


def test_a_file_that_may_not_be_read_is_named() -> None:
    """The test uses the error object, because root, who may run the tests, can read all files."""
    error = PermissionError(13, "Permission denied", "/source/digits/config.pbtxt")
    assert describe(error) == "/source/digits/config.pbtxt cannot be read by the pod's user: Permission denied"


def test_an_error_of_the_system_is_one_line_without_a_traceback(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    """The outcome and stderr contain the same one-line message for any exception."""
    pod.add("digits", v1="x")
    pod.models.rmdir()
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.PREPARE_FAILED, "")
    assert failure.message.startswith("FileNotFoundError: [Errno 2] No such file or directory: ")
    assert capsys.readouterr().err == f"PrepareFailed: {failure.message}\n"


def test_it_writes_no_core_dumps_of_keys_and_models(pod: Pod) -> None:
    with core_dumps_allowed() as forbidden:
        allowed = resource.getrlimit(resource.RLIMIT_CORE)
        pod.failure()
        assert resource.getrlimit(resource.RLIMIT_CORE) == allowed  # Other tests start from the same limit.
        main(pod.arguments())
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == forbidden


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"models": [{"name": "x"}]}', '{"models": [{"name": 1, "path": ""}]}']
)
def test_a_broken_list_of_models(pod: Pod, content: str) -> None:
    """The message names the file."""
    (pod.root / "config" / "models.json").write_text(content)
    failure = pod.failure()
    assert failure.reason == Reason.PREPARE_FAILED
    assert "models.json: the list of models cannot be read" in failure.message


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc"])
def test_a_name_that_is_no_folder_name(pod: Pod, name: str) -> None:
    """The name of a model becomes a folder in the model tree."""
    pod.add("digits", v1="x")
    pod.ask((name, "digits"))
    assert "is not a valid model name" in pod.failure().message
    assert list(pod.models.iterdir()) == []


def test_a_folders_name_cannot_steer_the_terminal_of_who_reads_the_log(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters are escaped in the container's log and in the message for the operator."""
    pod.add("digits\x1b[2J\u202e\n::error::forged", v1="x")
    pod.ask("linear")
    failure = pod.failure()
    shown = r"digits\x1b[2J\u202e\n::error::forged"
    assert shown in failure.message
    assert capsys.readouterr().err == f'ModelNotFound: model "linear": {failure.message}\n'


def test_as_a_process(pod: Pod) -> None:
    """The process runs with the pod's module and flags; it survives a termination log that cannot be written."""
    pod.add("digits", v1="x")
    command = [sys.executable, "-m", "triton_operator.prepare", *pod.arguments()]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    good = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert (good.returncode, good.stdout) == (0, "")
    assert good.stderr.startswith('model "digits": version 1 sha256:')
    pod.ask("linear")
    command[-1] = f"--termination-log={pod.root}"
    bad = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert bad.returncode == MISTAKE
    assert bad.stderr.startswith('ModelNotFound: model "linear": the repository has no folder "linear"')
    assert "the outcome cannot be written" in bad.stderr
    shown = subprocess.run([*command[:3], "--help"], check=True, capture_output=True, text=True, env=environment)
    for default in ("/config/models.json", "/source", "/models", "/dev/termination-log"):
        assert default in shown.stdout


def test_nothing_heavy_is_imported(pod: Pod) -> None:
    """The pod waits for this process, so it must not import large modules such as HTTP, Kubernetes or cryptography."""
    program = "import sys, triton_operator.prepare.__main__; print(*sorted(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    loaded = set(result.stdout.split())
    heavy = {"aiohttp", "kopf", "yaml", "numpy", "ssl", "asyncio", "concurrent.futures", "difflib", "google.protobuf"}
    assert loaded & heavy == set()
    ours = {name for name in loaded if name.startswith("triton_operator.")}
    assert {name.split(".")[1] for name in ours} == {
        "api",
        "cpu_server",
        "encryption",
        "errors",
        "files",
        "triton",
        "prepare",
        "scan",
    }
    assert "triton_operator.triton.server.log" not in ours


def test_the_list_of_models_is_encoded_the_same_way_always() -> None:
    """The ConfigMap's name contains a hash of the list."""
    preparation = Preparation((PreparationModel("digits", "a/b"), PreparationModel("数字", "x")), "/models")
    text = '{"models":[{"name":"digits","path":"a/b"},{"name":"数字","path":"x"}],"sourcePath":"/models"}'
    assert encode(preparation).decode() == text
    assert decode(encode(preparation)) == preparation
    assert decode(b'{"models":[]}') == Preparation((), "/")
    assert json.loads(encode(Preparation(()))) == {"models": []}
