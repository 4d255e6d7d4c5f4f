"""`tritonctl render`: the rendered objects of a file, and how errors in it are reported."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator.api.names import MODEL_NAME_LENGTH, MODEL_NAME_PATTERN
from triton_operator.cli import documents
from triton_operator.cli.render import CHART_DEFAULTS
from triton_operator.resources.settings import CatalogueImage

GOOD = {
    "apiVersion": "triton-operator.io/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "digits"},
    "spec": {"modelRepository": {"image": {"reference": "models:1"}}, "models": [{"name": "digits"}]},
}


def write(folder: Path, *documents: Any) -> Path:
    """A YAML file with these documents."""
    file = folder / "file.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return file


def changed(**spec: Any) -> dict[str, Any]:
    """The valid object with other fields in its spec."""
    return {**GOOD, "spec": {**GOOD["spec"], **spec}}  # type: ignore[dict-item]


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_renders(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """Each of its objects has a kind, a name and a namespace."""
    outcome = tritonctl(capsys, "render", "-f", file, "-n", "models")
    assert outcome.code == 0, outcome.err
    manifests = list(yaml.safe_load_all(outcome.out))
    assert {"Deployment", "Service", "ServiceAccount"} <= {manifest["kind"] for manifest in manifests}
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"models"}


def test_json_has_the_same_objects_as_yaml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As one List, which kubectl reads."""
    file = write(tmp_path, GOOD)
    as_yaml = list(yaml.safe_load_all(tritonctl(capsys, "render", "-f", file).out))
    as_json = json.loads(tritonctl(capsys, "render", "-f", file, "-o", "json").out)
    assert (as_json["kind"], as_json["items"]) == ("List", as_yaml)


def test_defaults_are_shown_with_their_reasons(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In text form, as a table; each default of the model, the server and its start has a line."""
    config = {
        "maxBatchSize": 8,
        "inputs": [{"name": "x", "dataType": "FP32", "dims": [4]}],
        "outputs": [{"name": "y", "dataType": "FP32", "dims": [2]}],
    }
    file = write(tmp_path, changed(models=[{"name": "digits", "config": config}], resources={"limits": {"cpu": 2}}))
    outcome = tritonctl(capsys, "render", "-f", file, "--show-defaults")
    assert outcome.code == 0, outcome.err
    shown = {line.split("  ")[0]: line for line in outcome.out.splitlines()}
    assert {
        "spec.models[0].config.instanceGroups",
        "spec.models[0].config.dynamicBatching",
        "spec.models[0].config.warmup",
        "spec.triton.image",
        "spec.triton.sharedMemorySize",
        "spec.lifecycle.startupTimeoutSeconds",
        "environment OMP_NUM_THREADS",
        "flag --http-port",
    } <= shown.keys()
    assert "2 of KIND_CPU" in shown["spec.models[0].config.instanceGroups"]
    assert "kind: Deployment" not in outcome.out


def test_defaults_as_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each has a field, a value and a reason; values of the user are not included."""
    file = write(tmp_path, changed(triton={"sharedMemorySize": "1Gi"}, lifecycle={"startupTimeoutSeconds": 60}))
    (digits,) = json.loads(tritonctl(capsys, "render", "-f", file, "--show-defaults", "-o", "json").out)
    assert digits["name"] == "digits"
    fields = {choice["field"] for choice in digits["choices"]}
    assert {"spec.models[0].config", "spec.resources.requests.cpu", "spec.rollout.strategy"} <= fields
    assert not {"spec.triton.sharedMemorySize", "spec.lifecycle.startupTimeoutSeconds"} & fields
    assert all(choice["value"] or choice["field"].startswith("flag ") for choice in digits["choices"])
    assert all(choice["why"].endswith(".") for choice in digits["choices"])


def test_the_defaults_of_tls_are_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The mode if it is not set; audit, limit and resources if the sidecar `proxy` runs."""

    def privacy(**spec: Any) -> dict[str, str]:
        file = write(tmp_path, changed(privacy=spec))
        (digits,) = json.loads(tritonctl(capsys, "render", "-f", file, "--show-defaults", "-o", "json").out)
        of_the_proxy = {
            "spec.privacy.tls.mode",
            "spec.privacy.audit",
            "largest request",
            "spec.privacy.proxy.resources",
        }
        return {each["field"]: each["value"] for each in digits["choices"] if each["field"] in of_the_proxy}

    of_managed = {
        "spec.privacy.audit": "All",
        "largest request": "64Mi",
        "spec.privacy.proxy.resources": "cpu 50m, memory 64Mi to 256Mi",
    }
    assert privacy() == of_managed | {"spec.privacy.tls.mode": "Managed"}
    assert privacy(tls={"mode": "Managed"}) == of_managed
    assert privacy(profile="Open") == {"spec.privacy.tls.mode": "Disabled"}
    assert privacy(tls={"mode": "Disabled"}) == {}


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_defaults_of_every_example_are_shown(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    """With all features that they use."""
    assert tritonctl(capsys, "render", "-f", file, "--show-defaults").code == 0


def test_rendering_twice_gives_the_same_bytes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """So that the output can be stored in Git and compared."""
    file = write(tmp_path, GOOD)
    assert tritonctl(capsys, "render", "-f", file) == tritonctl(capsys, "render", "-f", file)


def test_standard_input_and_other_objects(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other kinds in the stream are skipped; an object's own namespace takes precedence over the option."""
    other = {**GOOD, "metadata": {"name": "other", "namespace": "theirs"}}
    text = write(tmp_path, {"kind": "Namespace"}, GOOD, None, other).read_text()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    manifests = list(yaml.safe_load_all(tritonctl(capsys, "render", "-f", "-", "-n", "ours").out))
    places = {(manifest["metadata"]["namespace"], manifest["metadata"]["name"]) for manifest in manifests}
    assert {("ours", "digits"), ("theirs", "other")} <= places


def test_the_installations_settings_decide_the_images(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """As in the cluster that the settings come from."""
    settings = tmp_path / "settings.json"
    settings.write_text(
        '{"operatorImage": "op:7", "images": [{"image": "triton:7", "version": "24.10", "default": true}]}'
    )
    outcome = tritonctl(capsys, "render", "-f", write(tmp_path, GOOD), "--settings", settings)
    assert "image: op:7" in outcome.out
    assert "image: triton:7" in outcome.out


def test_without_settings_the_charts_defaults_count() -> None:
    """They exist twice, because the chart is not part of the package."""
    values = yaml.safe_load((ROOT / "charts/triton-operator/values.yaml").read_text())
    assert msgspec.convert(values["images"], tuple[CatalogueImage, ...]) == CHART_DEFAULTS.images
    assert CHART_DEFAULTS.operator_image.startswith(f"{values['image']['repository']}:")


def test_names_follow_the_rules_of_the_definition() -> None:
    """They exist twice, because the CRD is not part of the package."""
    definition = yaml.safe_load((ROOT / "crds/modeldeployments.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    name = schema["properties"]["metadata"]["properties"]["name"]
    (rule,) = name["x-kubernetes-validations"]
    assert (name["maxLength"], name["pattern"]) == (documents.NAME_LENGTH, documents.NAME_PATTERN)
    assert rule["rule"] == f"!self.matches('{documents.CHILD_SUFFIX}')"
    model = schema["properties"]["spec"]["properties"]["models"]["items"]["properties"]["name"]
    assert (model["maxLength"], model["pattern"]) == (MODEL_NAME_LENGTH, MODEL_NAME_PATTERN)


@pytest.mark.parametrize("name", ["with space", "mödel", "-dash", "a..b", "a.", "a/b", "a\n", "x" * 64])
def test_a_name_that_no_model_can_have_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the API server gets it, by `lint` and by `render`."""
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(changed(models=[{"name": name}]), allow_unicode=True))
    rendered = tritonctl(capsys, "render", "-f", path)
    assert rendered.code == 2
    assert "spec.models[0].name: " in rendered.err
    linted = tritonctl(capsys, "lint", path)
    assert linted.code == 1
    assert "spec.models[0].name: " in linted.out


def test_errors_on_standard_input_name_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And not a file called `-`, for errors from every part."""
    for spec in ({"replicas": "two"}, {"triton": {"version": "20.01"}}):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(yaml.safe_dump(changed(**spec)).encode())))
        outcome = tritonctl(capsys, "render", "-f", "-")
        assert outcome.code == 2
        assert outcome.err.startswith("error: standard input: digits: spec.")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (changed(replcias=2), "spec.replcias: unknown field; did you mean replicas?"),
        (
            changed(models=[{"name": "m", "colour": 1}]),
            "spec.models[0].colour: unknown field; known fields: name, path",
        ),
        (changed(gpu={"cuont": 1}), "spec.gpu.cuont: unknown field; did you mean count?"),
        (changed(a=1, b=2), "spec.a: unknown field"),
        (changed(a=1, b=2), "; spec.b: unknown field"),
        (changed(replicas="two"), "spec.replicas: Expected `int`, got `str`"),
        (changed(models=[]), "spec.models: at least one model is required"),
        (changed(modelRepository={}), "spec.modelRepository: set exactly one of image, pvc, s3 and http"),
        (changed(models=[{"name": "m", "path": "../m"}]), "points outside the repository"),
        (changed(triton={"version": "20.01"}), "spec.triton.version: the image catalogue has no entry"),
        (
            {**GOOD, "apiVersion": "triton-operator.io/v9"},
            "apiVersion: expected triton-operator.io/v1alpha1, got 'triton-operator.io/v9'",
        ),
        ({**GOOD, "metadata": {}}, "metadata.name: is missing"),
        ({key: GOOD[key] for key in ("apiVersion", "kind", "metadata")}, "spec"),
        ({**GOOD, "metadata": {"name": "Digits"}}, "metadata.name: use lowercase letters"),
        ({**GOOD, "metadata": {"name": "digits-"}}, "metadata.name: use lowercase letters"),
        ({**GOOD, "metadata": {"name": "d" * 41}}, "metadata.name: has 41 characters; at most 40 are allowed"),
        (
            {**GOOD, "metadata": {"name": "digits-headless"}},
            "metadata.name: ends with a suffix reserved for child objects",
        ),
        (changed(triton={"version": "newest"}), "spec.triton.version: "),
        ({"kind": "Pod"}, "contains no ModelDeployment"),
        ("text", "expected a Kubernetes object, got str"),
    ],
)
def test_errors_name_the_file_and_the_field(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, document: Any, complaint: str
) -> None:
    """No object is printed, and the exit status shows whose error it is."""
    file = write(tmp_path, document)
    outcome = tritonctl(capsys, "render", "-f", file)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {file}: ")
    assert complaint in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("content", "complaint"), [("a: [", "is not YAML"), (None, "No such file"), (b"\xff", "is not text")]
)
def test_unreadable_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | bytes | None, complaint: str
) -> None:
    """They are reported in the same way."""
    file = tmp_path / "file.yaml"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    outcome = tritonctl(capsys, "render", "-f", file)
    assert outcome.code == 2
    assert complaint in outcome.err


def test_unreadable_settings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The message names the option, not the file of the deployment."""
    outcome = tritonctl(capsys, "render", "-f", write(tmp_path, GOOD), "--settings", tmp_path / "none")
    assert outcome.code == 2
    assert outcome.err.startswith("error: --settings")
