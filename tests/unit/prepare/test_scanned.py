"""`prepare` scans what Triton will read: it reports findings, or refuses the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.archives import a_model_file
from tests.pod_folders import Pod
from tests.signers import Signer
from triton_operator.api.conditions import Reason
from triton_operator.api.scan import ScanFinding, ScanResult
from triton_operator.prepare import scanned
from triton_operator.scan.folder import scan_files
from triton_operator.triton.prepare_contract.outcome import Prepared
from triton_operator.triton.prepare_contract.request import PreparationModel

BAD = a_model_file(None, code="def f(x):\n  torch.save(x)\n")
GOOD = a_model_file(None, code="def f(x):\n  return x\n")
PYTHON = 'backend: "python"\nmax_batch_size: 1\ninput { name: "x" data_type: TYPE_FP32 dims: 2 }\n'


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    (tmp_path / "pod").mkdir()
    return Pod(tmp_path / "pod")


def scans(pod: Pod) -> dict[str, ScanResult | None]:
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    return {model.name: model.scan for model in outcome.models}


def test_findings_are_reported_and_the_model_is_served(pod: Pod, capsys: pytest.CaptureFixture[str]) -> None:
    pod.add("digits", v1=BAD)
    pod.add("clean", v1=GOOD)
    pod.ask("digits", "clean")
    finding = ScanFinding("Operator", "1/model.pt", "code/__torch__.py", "line 2: writes a file (torch.save)")
    assert scans(pod) == {"digits": ScanResult(1, (finding,)), "clean": ScanResult(0)}
    assert 'model "digits": scan: 1/model.pt: code/__torch__.py: line 2: writes a file' in capsys.readouterr().err


def test_a_model_with_findings_is_refused(pod: Pod) -> None:
    """All findings of all models are in the message."""
    pod.add("digits", v1=BAD)
    pod.add("clean", v1=GOOD)
    pod.add("other", v1=GOOD + b"more")
    pod.refuse_findings()
    pod.ask("clean", "digits", "other")
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.MODEL_SCAN_REFUSED, "digits")
    assert "1/model.pt: code/__torch__.py: line 2: writes a file (torch.save)" in failure.message
    assert 'model "other": 1/model.pt: has data or a comment after the archive' in failure.message


def test_clean_models_are_served_if_findings_are_refused(pod: Pod) -> None:
    pod.add("digits", v1=GOOD)
    pod.refuse_findings()
    pod.ask("digits")
    assert scans(pod) == {"digits": ScanResult(0)}


def test_versions_that_are_not_served_are_not_scanned(pod: Pod) -> None:
    pod.add("digits", v1=BAD, v2=GOOD)
    pod.refuse_findings()
    pod.ask("digits")
    assert scans(pod) == {"digits": ScanResult(0)}


def test_a_signature_vouches_for_python_code_only(pod: Pod, tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    model = pod.add("digits", PYTHON)
    (model / "1").mkdir()
    (model / "1" / "model.py").write_text("import os")
    pod.refuse_findings()
    pod.ask("digits")
    assert "1/model.py: Python code" in pod.failure().message
    signer.sign(model)
    pod.verify_with(signer)
    pod.ask("digits")
    result = scans(pod)["digits"]
    assert result is not None
    assert result.total == 1
    (model / "1" / "extra.pt").write_bytes(BAD)
    signer.sign(model)
    refused = pod.failure()
    assert refused.reason == Reason.MODEL_SCAN_REFUSED
    assert "writes a file" in refused.message
    assert "Python code" not in refused.message.partition("Remove what was found")[0]


def test_the_file_that_triton_reads_is_scanned(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes the source after it was copied does not change what is served."""
    model = pod.add("digits", v1=GOOD)
    pod.refuse_findings()
    pod.ask_for(PreparationModel("digits", "digits", copy=True))

    def change_and_scan(files: Iterable[tuple[str, Path]]) -> Iterator[ScanFinding]:
        (model / "1" / "model.pt").write_bytes(BAD)
        return scan_files(files)

    monkeypatch.setattr(scanned, "scan_files", change_and_scan)
    assert scans(pod) == {"digits": ScanResult(0)}
    assert (pod.models / "digits" / "1" / "model.pt").read_bytes() == GOOD


def test_many_findings_fit_into_the_message(pod: Pod) -> None:
    for number in range(20):
        pod.add(f"digits{number}", v1=a_model_file(None, code="torch.save(x)\n" * 50))
    names = [f"digits{number}" for number in range(20)]
    pod.ask(*names)
    found = scans(pod)
    assert [result and result.total for result in found.values()] == [50] * 20
    pod.refuse_findings()
    pod.ask(*names)
    assert pod.failure().message.startswith("1/model.pt: code/__torch__.py: line 1: writes a file")
