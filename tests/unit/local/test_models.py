"""Models laid out for a server on this machine: the operator's rendering and `prepare`, with this machine's places."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_deployment
from tests.paths import ROOT
from tests.web_server import web_server
from triton_operator.api.errors import InvalidSpecError
from triton_operator.api.spec import ModelDeployment
from triton_operator.local.command import ServerContext, server_command, server_variables
from triton_operator.local.ensembles import with_steps
from triton_operator.local.environment import Environment
from triton_operator.local.errors import LocalError, UnsupportedMachineError
from triton_operator.local.models import (
    RELEASE,
    SETTINGS,
    StagedModels,
    adapt,
    find_repository,
    needs_folder,
    stage_models,
)
from triton_operator.local.ports import Ports
from triton_operator.local.sample import sample_request
from triton_operator.resources.pod import Parts, build_pod_template
from triton_operator.resources.server_image import ServerImage

MODELS = ROOT / "model_repository"
IMAGE = {"image": {"reference": "models:1"}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def stage(run: Path, folder: Path | None = MODELS, **spec: Any) -> StagedModels:
    """Lay out the models of a spec."""
    return stage_models(adapt(deployment(**spec))[0], folder, run, run.parent / "cache")


def deployment(**spec: Any) -> ModelDeployment:
    """One of digits, from an image."""
    return a_deployment(**{"modelRepository": IMAGE, "models": [{"name": "digits"}], **spec})


def test_a_model_is_linked_with_its_own_configuration(run: Path) -> None:
    """As in a pod: what Triton reads is the repository's file."""
    staged = stage(run)
    assert [(model.name, model.versions) for model in staged.models] == [("digits", ("1",))]
    assert (staged.tree / "digits" / "1" / "model.pt").samefile(MODELS / "digits" / "1" / "model.pt")


def test_a_configuration_in_the_spec_is_rendered_as_for_a_pod(run: Path) -> None:
    """With what the operator fills in: instances by the CPU limit, and a warm-up."""
    config = {
        "maxBatchSize": 8,
        "inputs": [{"name": "INPUT__0", "dataType": "FP32", "dims": [1, 28, 28]}],
        "outputs": [{"name": "OUTPUT__0", "dataType": "FP32", "dims": [10]}],
    }
    model = {"name": "digits", "format": "TorchScript", "config": config}
    staged = stage(run, models=[model], resources={"limits": {"cpu": "2"}})
    text = (staged.tree / "digits" / "config.pbtxt").read_text()
    assert "count: 2" in text
    assert "model_warmup" in text


def test_a_model_that_is_not_there_is_told_in_the_words_of_a_pod(run: Path) -> None:
    """With its guess."""
    with pytest.raises(LocalError, match=r'^ModelNotFound: model "digitz".*Did you mean "digits"'):
        stage(run, models=[{"name": "digitz"}])


def test_a_wrong_digest_is_noticed_here_too(run: Path) -> None:
    """Integrity is not a matter of clusters."""
    with pytest.raises(LocalError, match=r"^DigestMismatch: "):
        stage(run, models=[{"name": "digits", "digest": "sha256:" + "0" * 64}])


def test_a_format_that_the_server_does_not_have_is_refused(run: Path) -> None:
    """The CPU server has no ONNX."""
    with pytest.raises(InvalidSpecError, match="onnx"):
        stage(run, models=[{"name": "digits", "format": "ONNX"}])


def test_a_model_of_another_repository_comes_from_the_same_folder(run: Path) -> None:
    """The folder stands for every repository."""
    own = {"name": "linear_regression", "modelRepository": {"pvc": {"claimName": "other"}}}
    staged = stage(run, models=[{"name": "digits"}, own])
    assert [model.name for model in staged.models] == ["digits", "linear_regression"]


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        (IMAGE, "a container image, which only a cluster can mount; specify their local folder with --repository"),
        ({"pvc": {"claimName": "models"}}, "a volume of the cluster, which only a cluster can mount"),
        ({"s3": {"bucket": "b"}, "credentialsSecretRef": {"name": "s"}}, "requires a Secret"),
    ],
)
def test_a_source_that_only_a_cluster_has_is_refused(run: Path, repository: dict[str, Any], words: str) -> None:
    """With the way out."""
    with pytest.raises(UnsupportedMachineError, match=words):
        stage(run, None, modelRepository=repository, privacy={"profile": "Open"})


def test_an_archive_on_a_web_server_is_fetched_as_in_a_pod_and_kept(run: Path) -> None:
    """A second start asks nobody for it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as opened:
        opened.add(MODELS / "digits", "digits")
    with web_server({"/models.tar.gz": archive.getvalue()}) as web:
        spec = {
            "modelRepository": {"http": {"url": f"http://127.0.0.1:{web.port}/models.tar.gz"}},
            "privacy": {"profile": "Open"},
        }
        again = run.parent / "again"
        again.mkdir()
        stage(run, None, **spec)
        requests = len(web.requests)
        staged = stage(again, None, **spec)
        assert len(web.requests) == requests > 0
    assert (staged.tree / "digits" / "1" / "model.pt").read_bytes() == (MODELS / "digits/1/model.pt").read_bytes()


def test_a_given_folder_goes_before_a_source_that_could_be_fetched(run: Path) -> None:
    """Nobody is asked; the address leads nowhere."""
    repository = {"http": {"url": "http://127.0.0.1:9/models.tar.gz"}}
    staged = stage(run, modelRepository=repository, privacy={"profile": "Open"})
    assert [model.name for model in staged.models] == ["digits"]


def test_the_number_of_cpus_stands_for_a_limit() -> None:
    """Here it is known; without it a limit of the spec stays."""
    limited = deployment(resources={"limits": {"cpu": "3", "memory": "1Gi"}})
    assert adapt(limited, 2)[0].spec.resources.limits == {"cpu": "2", "memory": "1Gi"}
    assert adapt(limited)[0].spec.resources.limits["cpu"] == "3"
    assert adapt(deployment(), 4)[0].spec.resources.limits == {"cpu": "4"}


def test_a_gpu_and_another_version_are_passed_over_aloud() -> None:
    """The rest of the spec stays."""
    adapted, notes = adapt(deployment(gpu={"count": 1}, triton={"version": "26.11", "logLevel": "Info"}))
    assert adapted.spec.gpu is None
    assert adapted.spec.triton.version is None
    assert adapted.spec.triton.log_level == "Info"
    assert [note.partition(":")[0] for note in notes] == ["spec.gpu", "spec.triton"]
    assert "instead of 26.11" in notes[1]
    assert adapt(deployment())[1] == []


def test_the_repository_is_the_first_folder_that_has_every_model(tmp_path: Path) -> None:
    """Half of the models would be a guess."""
    for name in ("half/digits", "whole/digits", "whole/linear_regression"):
        (tmp_path / name).mkdir(parents=True)
    spec = deployment(models=[{"name": "digits"}, {"name": "linear_regression"}]).spec
    assert needs_folder(spec)
    assert find_repository(spec, [tmp_path / "none", tmp_path / "half", tmp_path / "whole"]) == tmp_path / "whole"
    assert find_repository(spec, [tmp_path / "half"]) is None


def test_an_ensemble_brings_its_steps(tmp_path: Path) -> None:
    """And theirs; what is not next to it, and what is no configuration, is passed over."""
    steps = {
        "top": ["first", "inner", "absent"],
        "inner": ["first", "last", "top"],
        "first": [],
        "last": [],
        "other": [],
    }
    for name, called in steps.items():
        (tmp_path / name).mkdir()
        text = "".join(f'step {{ model_name: "{each}" }}' for each in called)
        (tmp_path / name / "config.pbtxt").write_text(f"ensemble_scheduling {{ {text} }}" if called else "}{")
    assert [folder.name for folder in with_steps(tmp_path / "top")] == ["top", "first", "inner", "last"]
    assert with_steps(tmp_path / "other") == [tmp_path / "other"]


def a_context(folder: Path) -> ServerContext:
    """Where a server would run."""
    return ServerContext(Environment(Path("/cache/env")), folder, Ports(8100, 8101, 8102))


@pytest.mark.parametrize(("mode", "addresses"), [("Managed", {"metrics"}), ("Disabled", {"http", "grpc", "metrics"})])
def test_the_flags_are_the_pods_but_for_places_and_ports(mode: str, addresses: set[str], tmp_path: Path) -> None:
    """A flag that the operator learns is given here as well. Behind the proxy, a pod has loopback too."""
    described = deployment(triton={"extraArgs": ["--http-thread-count=4"]}, privacy={"tls": {"mode": mode}})
    staged = StagedModels(tmp_path / "models", ())
    here = server_command(described.spec, a_context(tmp_path), staged)
    template = build_pod_template(described, Parts(ServerImage("image", RELEASE), "", "config", []))
    pod = template["spec"]["containers"][0]["args"]
    added = ["--backend-directory", "--cache-directory", "--backend-config", "--id"]
    assert [word.partition("=")[0] for word in here] == [word.partition("=")[0] for word in pod] + added
    assert here[0] == "tritonserver"
    differs = {ours.partition("=")[0] for ours, theirs in zip(here, pod, strict=False) if ours != theirs}
    assert differs == {
        *(f"--{listener}-address" for listener in addresses),
        *(f"--{listener}-port" for listener in ("http", "grpc", "metrics")),
        "--model-repository",
    }
    assert not any("0.0.0.0" in word or "$(" in word for word in here)


def test_nothing_of_the_callers_shell_reaches_a_model(tmp_path: Path) -> None:
    """Not its secrets, and not the variables that would change Python."""
    shell = {"AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/evil", "LD_PRELOAD": "/evil.so", "HOME": "/home/ada"}
    spec = deployment(resources={"limits": {"cpu": "2"}}).spec
    seen = server_variables(spec, a_context(tmp_path), shell)
    assert shell.keys() & seen.keys() == {"HOME"}
    assert seen["OMP_NUM_THREADS"] == "2"


def test_a_model_sees_the_variables_with_values_of_the_file(tmp_path: Path) -> None:
    """Not those from objects of a cluster. The paths of this machine take precedence."""
    in_cluster = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "features", "key": "token"}}}
    env = [
        {"name": "TZ", "value": "Asia/Shanghai"},
        {"name": "EMPTY"},
        {"name": "PATH", "value": "/models"},
        in_cluster,
    ]
    spec = deployment(env=env, envFrom=[{"secretRef": {"name": "features"}}], privacy={"profile": "Open"}).spec
    seen = server_variables(spec, a_context(tmp_path), {"TZ": "Europe/Berlin"})
    assert (seen["TZ"], seen["EMPTY"]) == ("Asia/Shanghai", "")
    assert "TOKEN" not in seen
    assert "/models" not in seen["PATH"]


def test_a_sample_has_one_row_of_every_input() -> None:
    """Open dimensions become one; texts are a word."""
    described = {
        "name": "m",
        "inputs": [
            {"name": "text", "datatype": "BYTES", "shape": [-1, 1]},
            {"name": "image", "datatype": "FP32", "shape": [-1, 2, 2]},
            {"name": "flag", "datatype": "BOOL", "shape": [1]},
        ],
    }
    sample = sample_request(described)["inputs"]
    assert [tensor["data"] for tensor in sample] == [["hello"], [0, 0, 0, 0], [False]]
    assert [tensor["shape"] for tensor in sample] == [[1, 1], [1, 2, 2], [1]]


def test_the_settings_name_the_release_that_images_are_listed_with() -> None:
    """One server, told of in two places."""
    from hack.install import CPU_TRITON_VERSION

    assert [image.version for image in SETTINGS.images] == [CPU_TRITON_VERSION]
