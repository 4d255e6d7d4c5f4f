"""`tritonctl run`: the errors that it reports before anything is fetched or written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator.cli.failures import CommandFailedError
from triton_operator.cli.run.models import local_models
from triton_operator.local import environment
from triton_operator.local.machine import Machine

DIGITS = ROOT / "examples" / "digits.yaml"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet, and a working directory without models."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def a_file(folder: Path, *names: str, **spec: Any) -> Path:
    """A YAML file with a ModelDeployment for each name."""
    repository = {"image": {"reference": "models:1"}}
    path = folder / "file.yaml"
    bodies = [
        {
            "apiVersion": "triton-operator.io/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name},
            "spec": {"modelRepository": repository, "models": [{"name": "digits"}], **spec},
        }
        for name in names
    ]
    path.write_text(yaml.safe_dump_all(bodies))
    return path


def test_an_unsupported_machine_is_reported_before_any_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """For example, a Mac."""
    monkeypatch.setattr(environment, "inspect_machine", lambda: Machine("Darwin", "arm64", "", True, False))
    outcome = tritonctl(capsys, "run", ROOT / "model_repository" / "digits")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: the CPU Triton requires Linux on x86-64, and this is Darwin on arm64")
    assert not cache.exists()


def test_a_missing_folder_for_the_image_is_reported_with_the_searched_places(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path
) -> None:
    """An image cannot be pulled here."""
    outcome = tritonctl(capsys, "run", a_file(tmp_path, "digits"))
    assert outcome.code == 2
    assert f"neither {tmp_path}/model_repository nor {tmp_path}/work/model_repository" in outcome.err
    assert "use --repository DIR" in outcome.err
    assert not cache.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent"], "absent: No such file or directory"),
        (["empty"], "empty: contains no model"),
        (["empty", "--repository", "empty"], "--repository can only be used with a YAML file"),
        (["empty", "--name", "digits"], "--name can only be used with a YAML file"),
        ([DIGITS, "--repository", "absent"], "--repository: absent is not a folder"),
        ([DIGITS, "--name", "digitz"], "has no ModelDeployment digitz; select one with --name: digits"),
        ([DIGITS, "--http-port", "70000"], "--http-port"),
    ],
)
def test_wrong_usage_is_exit_status_2(
    capsys: pytest.CaptureFixture[str], cache: Path, arguments: list[object], words: str
) -> None:
    """The message names the option or the file."""
    Path("empty").mkdir()
    outcome = tritonctl(capsys, "run", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert not cache.exists()


def test_folders_whose_names_no_model_can_have_are_all_named(
    capsys: pytest.CaptureFixture[str], cache: Path, tmp_path: Path
) -> None:
    """Triton would hang with one of them."""
    for name in ("with space", "fine", "mödel"):
        (tmp_path / "repository" / name / "1").mkdir(parents=True)
    outcome = tritonctl(capsys, "run", tmp_path / "repository")
    assert outcome.code == 2
    assert "'mödel': use letters" in outcome.err
    assert "'with space': use letters" in outcome.err
    assert "fine" not in outcome.err
    assert not cache.exists()


def a_repository(folder: Path, *names: str) -> Path:
    """Models of this project under other names, and a folder that is not a model."""
    for name in names:
        shutil.copytree(ROOT / "model_repository" / "linear_regression" / "1", folder / name / "1")
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "model.pt").write_bytes(b"no model")
    return folder


def test_a_broken_model_of_a_folder_is_named_before_anything_starts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path
) -> None:
    """The message includes the option that skips it."""
    outcome = tritonctl(capsys, "run", a_repository(tmp_path / "models", "good"))
    assert outcome.code == 1
    assert "1 model cannot be served:\n  'broken': " in outcome.err
    assert "use --skip-broken to serve the others" in outcome.err
    assert "good" not in outcome.err
    assert not cache.exists()


def test_broken_models_are_skipped_with_the_ensembles_that_need_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each is named with its reason; if no model is left, nothing is served."""
    folder = a_repository(tmp_path / "models", "good")
    for name, step in (("outer", "inner"), ("inner", "broken")):
        (folder / name).mkdir()
        (folder / name / "config.pbtxt").write_text(
            f"""platform: "ensemble"
            input {{ name: "IN" data_type: TYPE_FP32 dims: 1 }}
            output {{ name: "OUT" data_type: TYPE_FP32 dims: 1 }}
            ensemble_scheduling {{ step {{ model_name: "{step}" model_version: -1
              input_map {{ key: "IN" value: "IN" }} output_map {{ key: "OUT" value: "OUT" }} }} }}"""
        )
    with local_models(folder, None, "", skip_broken=True) as models:
        assert [model.name for model in models.deployment.spec.models] == ["good"]
    stderr = capsys.readouterr().err
    assert "3 models skipped:" in stderr
    assert "'outer': " in stderr
    shutil.rmtree(folder / "good")
    with (
        pytest.raises(CommandFailedError, match="3 models cannot be served"),
        local_models(folder, None, "", skip_broken=True),
    ):
        pass


@pytest.mark.parametrize(
    ("place", "name"), [("net.pt", "net"), ("digits/1/model.pt", "digits"), ("Downloads/model.pt", "Downloads")]
)
def test_a_file_is_served_under_its_name(tmp_path: Path, place: str, name: str) -> None:
    """Or its folder's name, if it is named model.pt; the temporary folder is removed."""
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "model_repository" / "linear_regression" / "1" / "model.pt", file)
    with local_models(file, None, "", skip_broken=False) as models:
        assert [model.name for model in models.deployment.spec.models] == [name]
        assert models.folder
        assert (models.folder / name / "1" / "model.pt").read_bytes() == file.read_bytes()
    assert not models.folder.exists()


def test_of_several_deployments_one_has_to_be_chosen(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The message names them."""
    outcome = tritonctl(capsys, "run", a_file(tmp_path, "digits", "letters"))
    assert outcome.code == 2
    assert "has several ModelDeployments; select one with --name: digits, letters" in outcome.err


def test_a_missing_model_is_exit_status_1_and_leaves_no_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cache: Path
) -> None:
    """It is detected before the download, which takes minutes for a new user."""
    path = a_file(tmp_path, "digits", models=[{"name": "digitz"}])
    outcome = tritonctl(capsys, "run", path, "--repository", ROOT / "model_repository")
    assert outcome.code == 1
    assert 'ModelNotFound: model "digitz"' in outcome.err
    assert "Fetching" not in outcome.err
    assert not list(cache.rglob("run-*"))
