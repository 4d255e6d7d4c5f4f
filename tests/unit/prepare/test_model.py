"""The models that `prepare` accepts, the versions that it serves, and its messages about models that it rejects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pod_folders import CONFIG, Pod
from triton_operator.api.conditions import Reason
from triton_operator.triton.prepare_contract.outcome import Prepared


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Create a pod whose object requests the model `digits`."""
    return Pod(tmp_path)


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", ("10",)),
        ("version_policy: { latest { num_versions: 2 } }", ("9", "10")),
        ("version_policy { all { } }", ("1", "9", "10")),
        ("version_policy { specific: { versions: [9, 1] } }", ("1", "9")),
    ],
)
def test_the_version_policy_decides_what_is_served(pod: Pod, policy: str, served: tuple[str, ...]) -> None:
    """Versions are compared as numbers; empty folders and folders that are not versions are ignored."""
    model = pod.add("digits", CONFIG + policy, v1="a", v9="b", v10="c")
    (model / "11").mkdir()
    (model / "012").mkdir()
    (model / "012" / "model.pt").write_text("leading zero")
    (model / "latest").mkdir()
    assert pod.versions() == served


SILENT = "max_batch_size: 4 input { name: 'x' data_type: TYPE_FP32 dims: 1 }"


@pytest.mark.parametrize(
    ("files", "field"),
    [
        (["1/model.pt"], 'backend: "pytorch"'),
        (["1/model.pt2"], 'platform: "torch_aoti"'),
        (["1/model.py"], 'backend: "python"'),
        (["1/model.onnx"], 'backend: "onnxruntime"'),
        (["1/model.onnx/weights"], 'backend: "onnxruntime"'),
        (["1/model.plan"], 'backend: "tensorrt"'),
        (["1/model.xml"], 'backend: "openvino"'),
        (["1/model.savedmodel/x"], 'platform: "tensorflow_savedmodel"'),
        (["1/model.py", "1/model.pt"], 'backend: "pytorch"'),
        (["1/weights", "2/model.pt"], 'backend: "pytorch"'),
    ],
)
def test_a_config_without_a_backend_gets_the_one_of_the_models_file(pod: Pod, files: list[str], field: str) -> None:
    """The backend is the one that Triton would select; a configuration that sets a backend is unchanged."""
    model = pod.add("digits", SILENT)
    for file in files:
        (model / file).parent.mkdir(parents=True, exist_ok=True)
        (model / file).write_text("x")
    pod.add("other", v1="x")
    pod.ask("digits", "other")
    assert isinstance(pod.prepare(), Prepared)
    assert field in (pod.models / "digits" / "config.pbtxt").read_text()
    assert (pod.models / "other" / "config.pbtxt").read_text() == CONFIG


def test_a_file_that_is_named_chooses_the_backend(pod: Pod) -> None:
    model = pod.add("digits", SILENT + "default_model_filename: 'model.py'")
    (model / "1").mkdir()
    for name in ("model.pt", "model.py"):
        (model / "1" / name).write_text("x")
    assert pod.versions() == ("1",)
    assert 'backend: "python"' in (pod.models / "digits" / "config.pbtxt").read_text()


@pytest.mark.parametrize("content", ["1/readme", "1/model.pt/file"])
def test_no_file_that_chooses_a_backend(pod: Pod, content: str) -> None:
    path = pod.add("digits", SILENT) / content
    path.parent.mkdir(parents=True)
    path.write_text("x")
    words = '/digits/config.pbtxt has neither "backend" nor "platform", and no version of /digits has a file'
    assert words in pod.failure().message


@pytest.mark.parametrize(("file", "backend"), [("model.py", "python"), ("model.onnx", "onnxruntime")])
def test_a_model_that_cannot_do_without_a_config(pod: Pod, file: str, backend: str) -> None:
    """The message does not suggest renaming the file, which would not help."""
    path = pod.add("digits", None) / "1" / file
    path.parent.mkdir()
    path.write_text("x")
    message = pod.failure().message
    assert f'automatic completion is off. Write it with backend: "{backend}"' in message
    assert "Rename" not in message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, ["there is no /digits/config.pbtxt", "contains 1"]),
        ('backend: "pytorch"\nname: digits', ["name: must be a string in quotes"]),
        ('backend: "pytorch"\nname "digits"', ["/digits/config.pbtxt", "line 2, column 6", 'expected ":"']),
        ('backend: "pytorch" name: "numbers"', ['"numbers"', '"digits"', "spec.models"]),
        ('backend: "pytorch" backend: "python"', ["backend: is set 2 times"]),
        ('backend: "pytorch" max_batch_size: many', ["max_batch_size: must be a whole number, not many"]),
        ('backend: "pytorch" version_policy { latest { } }', ["num_versions: must be at least 1"]),
        (
            'backend: "pytorch" version_policy { latest { num_versions: 1 } all { } }',
            ["must be set, not latest, all"],
        ),
        ('backend: "pytorch" version_policy: "all"', ["version_policy: must be a message in braces"]),
        ('backend: "pytorch" default_model_filename: "../1/model.pt"', ["leaves the version's folder"]),
        ('backend: "pytorch" default_model_filename: "/etc/passwd"', ["leaves the version's folder"]),
        ('backend: "python" default_model_filename: "a b.py; touch x"', ["'a b.py; touch x'", "rename the file"]),
        ("#" * (1 << 20) + CONFIG, ["larger than"]),
    ],
)
def test_a_config_that_cannot_be(pod: Pod, config: str | None, words: list[str]) -> None:
    """The message names the file, the position or field, and the value."""
    pod.add("digits", config, v1="x")
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.CONFIG_INVALID, "digits")
    for word in words:
        assert word in failure.message


def test_a_config_that_would_end_the_server(pod: Pod) -> None:
    """All its mistakes are named; Triton would end with the other models."""
    output = 'output { name: "y" data_type: TYPE_FP32 dims: 1 label_filename: "labels" }'
    tags = 'metric_tags { key: "1st" value: "a" } metric_tags { key: "te-am" value: "b" } metric_tags { key: "ok" }'
    model = pod.add("digits", f'backend: "pytorch" {output} {tags}', v1="x")
    (model / "labels").mkdir()
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.CONFIG_INVALID, "digits")
    for words in ('"1st" must be', '"te-am" must be', "output[0].label_filename: labels is a folder"):
        assert words in failure.message
    assert '"ok"' not in failure.message


def test_a_label_file_does_not_end_the_server(pod: Pod) -> None:
    output = 'output { name: "y" data_type: TYPE_FP32 dims: 1 label_filename: "labels" }'
    model = pod.add("digits", f'backend: "pytorch" {output}', v1="x")
    (model / "labels").write_text("cat\n")
    assert pod.versions() == ("1",)


def test_a_config_that_is_no_text(pod: Pod) -> None:
    """For example, the file is a model file with the wrong name."""
    (pod.add("digits", v1="x") / "config.pbtxt").write_bytes(b"ab\xff\xfe")
    failure = pod.failure()
    assert failure.reason == Reason.CONFIG_INVALID
    assert "/digits/config.pbtxt is not UTF-8 text (byte 2)" in failure.message


@pytest.mark.parametrize(
    ("config", "folders", "words"),
    [
        (CONFIG, {}, ["no numbered version folder", "1/model.pt", "contains config.pbtxt"]),
        (CONFIG, {"1": []}, ["no numbered version folder", "contains 1, config.pbtxt"]),
        (CONFIG, {"v1": ["model.pt"]}, ["no numbered version folder", "v1"]),
        (CONFIG, {"1": ["net.pt"]}, ["/digits/1 has no model.pt", "contains net.pt", "default_model_filename"]),
        ('platform: "torch_aoti"', {"1": ["model.pt"]}, ["has no model.pt2"]),
        ('backend: "python"', {"1": ["model.pt"]}, ["has no model.py"]),
        (CONFIG + 'default_model_filename: "net.pt"', {"1": ["model.pt"]}, ["has no net.pt"]),
        (
            CONFIG + "version_policy { specific { versions: 2 } }",
            {"1": ["model.pt"]},
            ["selects version 2; the", "has 1"],
        ),
        (CONFIG + "version_policy { specific { } }", {"1": ["model.pt"]}, ["selects no version at all"]),
    ],
)
def test_no_version_to_serve(pod: Pod, config: str, folders: dict[str, list[str]], words: list[str]) -> None:
    """The message describes the expected and the existing files."""
    model = pod.add("digits", config)
    for folder, files in folders.items():
        (model / folder).mkdir()
        for name in files:
            (model / folder / name).touch()
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.MODEL_VERSION_NOT_FOUND, "digits")
    for word in words:
        assert word in failure.message


@pytest.mark.parametrize(
    ("config", "filename"),
    [
        ('platform: "pytorch_libtorch"', "model.pt"),
        ('platform: "torch_aoti" backend: "pytorch"', "model.pt2"),
        ('backend: "python"', "model.py"),
        ('platform: "onnxruntime_onnx"', "model.onnx"),
        ('backend: "own"', "anything"),
        ('backend: "pytorch" runtime: "model.py"', "anything"),
        ('backend: "pytorch" cc_model_filenames { key: "9.0" value: "h100.pt" }', "h100.pt"),
    ],
)
def test_the_file_that_a_backend_wants(pod: Pod, config: str, filename: str) -> None:
    """The file of a known backend must exist; for an unknown backend, Triton checks it."""
    model = pod.add("digits", config)
    (model / "1").mkdir()
    (model / "1" / filename).touch()
    assert pod.versions() == ("1",)


def test_an_ensemble_has_an_empty_version(pod: Pod) -> None:
    """An ensemble has no model file, because its steps are other models."""
    (pod.add("digits", 'platform: "ensemble"') / "1").mkdir()
    assert pod.versions() == ("1",)
