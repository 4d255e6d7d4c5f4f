"""The demo's pure parts: manifests, drawings and suggested commands. tests/e2e runs the demo."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hack.demo import end, next_steps, pack, privacy, prober, run
from hack.demo.failures import DemoError
from hack.demo.predictions import DigitPrediction, ProtocolPredictions, likeliest_digit, show_predictions, write_request
from hack.images.builder import BuiltImage
from hack.images.failures import ImageError
from hack.install import CHART, chart_values
from hack.install import NAMESPACE as OPERATOR_NAMESPACE
from tests.fake_cluster import PLAIN, FakeCluster
from training.dataset import Part
from triton_operator.api.status import Condition, Control, ControlState, PrivacyStatus, Status, Truth
from triton_operator.sdk.kubernetes_client import KubernetesClient
from triton_operator.sdk.prediction import Prediction
from triton_operator.sdk.protocol_json import parse_request


@dataclass(frozen=True)
class SomeCluster:
    """A fake of a cluster, sufficient for the pure parts."""

    kubeconfig: Path = Path("/a path/kubeconfig")


def two_digits() -> Part:
    """A black and a white image, of a 1 and a 2."""
    blank = np.zeros((1, 1, 28, 28), np.float32)
    return Part(np.concatenate([blank + 1, blank]), np.array([1, 2]))


def test_only_the_reference_of_the_example_is_changed() -> None:
    """The applied object is the documented example."""
    example = yaml.safe_load(run.EXAMPLE.read_text())
    changed = run.with_reference(example, "models:7")
    assert changed["spec"]["modelRepository"]["image"].pop("reference") == "models:7"
    del example["spec"]["modelRepository"]["image"]["reference"]
    assert changed == example


def test_the_chart_gets_the_built_images_beside_its_own_catalogue() -> None:
    """A list in Helm's values replaces the chart's list, so its entries must be repeated."""
    built = {name: BuiltImage(name, f"here/{name}:7", Path("-")) for name in ("operator", "triton-cpu")}
    values: Any = chart_values(built)
    assert values["image"] == {"repository": "here/operator", "tag": "7"}
    *own, local = values["images"]
    assert own == yaml.safe_load((CHART / "values.yaml").read_text())["images"]
    assert (local["image"], local["accelerator"], local["default"]) == ("here/triton-cpu:7", "CPU", True)


def test_the_likeliest_digit_is_read_with_its_time() -> None:
    """The time is in milliseconds."""
    outputs = {"OUTPUT__0": np.array([[0.1, 0.2, 0.7]], np.float32)}
    answer = likeliest_digit(Prediction("digits", "1", outputs, 0.0021))
    assert answer.digit == 2
    assert answer.probability == pytest.approx(0.7)
    assert answer.milliseconds == pytest.approx(2.1)


def test_images_are_next_to_their_predictions() -> None:
    """A wrong prediction is marked, and both protocols have a line."""
    predictions = ProtocolPredictions(DigitPrediction(1, 0.987, 2.1), DigitPrediction(1, 0.987, 1.4))
    shown = show_predictions(two_digits(), [predictions, predictions], colour=False)
    assert re.search(r"█   Prediction: 1  \(probability 98\.7%, correct\)", shown)
    assert "Prediction: 1  (probability 98.7%, wrong, label is 2)" in shown
    assert shown.count("HTTP  1    2.1 ms") == shown.count("gRPC  1    1.4 ms") == 2
    assert not re.search(r" $", shown, re.MULTILINE)


def test_the_request_file_is_what_tritonctl_reads(tmp_path: Path) -> None:
    """The demo's curl command sends the same file; the folder may or may not exist."""
    image = two_digits().inputs[:1]
    path = write_request(tmp_path / "demo", image)
    assert write_request(tmp_path / "demo", image) == path
    assert np.array_equal(parse_request(path.read_bytes()).inputs["INPUT__0"], image)


def test_suggestions_name_the_cluster_the_namespace_and_the_cleanup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths with spaces are quoted, so that the line can be pasted."""
    for name in ("CLUSTER", "TRITON_OPERATOR_CACHE", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("hack.cluster.tools", lambda *_: Path("/tools"))
    cluster: Any = SomeCluster()
    text = next_steps.next_steps(cluster, "ns", "digits", Path("/a b/digit.json"))
    assert "export KUBECONFIG='/a path/kubeconfig'" in text
    assert "kubectl -n ns describe md digits " in text
    assert "tritonctl infer digits -n ns --input '/a b/digit.json'" in text
    assert "tritonctl ca digits -n ns > '/a b/ca.crt'" in text
    assert "--cacert '/a b/ca.crt' " in text
    assert "https://digits.ns.svc:8443/v2/models/digits/infer" in text
    assert text.rstrip().splitlines()[-1].startswith("  make demo-down ")


def test_only_a_deployment_with_tls_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods that are older than the operator have no TLS, which the demo promises."""
    tls = {"https": "https://digits.ns.svc:8443", "caBundleRef": {"name": "authorities", "key": "ca.crt"}}
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        cluster.put("configmaps", {"metadata": {"name": "authorities"}, "data": {"ca.crt": "PEM"}})
        cluster.put("modeldeployments", {"metadata": {"name": "digits"}, "status": {"endpoints": tls}})
        assert prober.read_authorities(KubernetesClient(), "ns", "digits") == "PEM"
        cluster.put("modeldeployments", {"metadata": {"name": "digits"}, "status": {"endpoints": PLAIN}})
        with pytest.raises(DemoError, match=r"no TLS; run `.*make demo-down`"):
            prober.read_authorities(KubernetesClient(), "ns", "digits")


def test_the_required_controls_are_shown_with_their_summary() -> None:
    """The others are advice."""
    condition = Condition("PrivacyEnforced", Truth.UNKNOWN, "NetworkNotProven", "no test")
    controls = (
        Control("TLS", ControlState.ENFORCED, "TLS 1.3"),
        Control("NetworkEnforcement", ControlState.UNKNOWN, "no test"),
        Control("Audit", ControlState.ENFORCED, "one line per request", required=False),
    )
    assert privacy.show_privacy(Status(1, conditions=(condition,), privacy=PrivacyStatus(controls))).splitlines() == [
        "PrivacyEnforced is Unknown: no test",
        "  Enforced    TLS                 TLS 1.3",
        "  Unknown     NetworkEnforcement  no test",
    ]


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({}, "make demo-down"),
        ({"CLUSTER": "current"}, "CLUSTER=current make demo-down"),
        (
            {"CLUSTER": "", "TRITON_OPERATOR_CACHE": "/a b", "SUDO_UID": "7"},
            "TRITON_OPERATOR_CACHE='/a b' sudo -E make demo-down",
        ),
    ],
)
def test_demo_down_uses_the_cluster_of_demo(environ: dict[str, str], command: str) -> None:
    """Without the variable, it would look for another cluster, or in another folder."""
    assert next_steps.demo_down(environ) == command


@pytest.mark.parametrize(
    ("definition", "others", "deleted"),
    [
        (None, 0, False),
        (OPERATOR_NAMESPACE, 0, True),
        (OPERATOR_NAMESPACE, 1, False),
        ("somebody-else", 0, False),
    ],
)
def test_the_crd_is_removed_only_if_the_demo_installed_it_and_it_is_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, definition: str | None, others: int, deleted: bool
) -> None:
    """Its deletion deletes every ModelDeployment of the cluster."""
    annotations = {"meta.helm.sh/release-namespace": definition}
    stored = {"metadata": {"name": "modeldeployments.triton-operator.io", "uid": "u", "annotations": annotations}}
    with FakeCluster.running(tmp_path, monkeypatch) as cluster:
        cluster.put("customresourcedefinitions", *([stored] if definition else []))
        cluster.put("modeldeployments", *({"metadata": {"name": f"m{number}"}} for number in range(others)))
        end.remove_definition(KubernetesClient())
    assert any(request.startswith("DELETE ") for request in cluster.requests) == deleted


@pytest.mark.parametrize(("files", "words"), [([], "nothing"), (["digits/model.pt", "notes.txt"], "digits, notes.txt")])
def test_a_folder_without_models_is_not_packed(files: list[str], words: str, tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(ImageError, match=f"found: {words}$"):
        pack.require_models(tmp_path)
    (tmp_path / "digits" / "1").mkdir(parents=True)
    pack.require_models(tmp_path)


def test_a_folder_of_any_name_gives_an_image_a_name() -> None:
    assert pack.image_name(Path("/data/My Models_v2")) == "my-models-v2"
    assert pack.image_name(Path("/数据")) == "models"
