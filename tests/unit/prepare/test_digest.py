"""The digests of models: a pinned digest is always compared, and the files are copied if the source can change."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.archives import a_model_file
from tests.pod_folders import CONFIG, Pod
from triton_operator.api.conditions import Reason
from triton_operator.prepare import digest as digests
from triton_operator.triton.prepare_contract.outcome import Prepared
from triton_operator.triton.prepare_contract.request import PreparationModel


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Create a pod whose object requests the model `digits`."""
    return Pod(tmp_path)


def found_digest(pod: Pod) -> str:
    """Run `prepare` and return the digest that the status displays."""
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    return outcome.models[0].digest


@pytest.mark.parametrize("copy", [False, True])
def test_the_right_digest_is_served_and_another_one_is_not(pod: Pod, copy: bool) -> None:
    model = pod.add("digits", v1="x", v2="y")
    (model / "labels.txt").write_text("zero")
    right = found_digest(pod)
    pod.ask_for(PreparationModel("digits", "digits", digest=right, copy=copy))
    assert found_digest(pod) == right
    assert found_digest(pod) == right, "an init container may run again in its pod"
    served = pod.models / "digits"
    assert sorted(entry.name for entry in served.iterdir()) == ["2", "config.pbtxt", "labels.txt"]
    assert (served / "2").is_symlink() is not copy
    (model / "2" / "model.pt").write_text("z")
    if copy:
        assert (served / "2" / "model.pt").read_text() == "y", "what was compared is what is served"
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.DIGEST_MISMATCH, "digits")
    assert right in failure.message
    assert failure.message.count("sha256:") == 2


def test_a_pinned_model_is_hashed_whatever_its_size(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pinned digest, a large model is not hashed, because hashing takes as long as loading the model."""
    pod.add("digits", v1="x" * 100)
    right = found_digest(pod)
    monkeypatch.setattr(digests.model_digest, "__defaults__", (50,))
    assert found_digest(pod) == ""
    pod.ask_for(PreparationModel("digits", "digits", digest=right))
    assert found_digest(pod) == right


def test_a_config_that_the_object_brings_along_is_no_part_of_the_digest(pod: Pod) -> None:
    """The digest covers only the files of the repository, including a config.pbtxt that `prepare` completes."""
    pod.add("digits", 'backend: "pytorch"', v1=a_model_file())
    with_file = found_digest(pod)
    text = pod.add_config("0.pbtxt", f'name: "digits" {CONFIG}'.replace("x", "INPUT__0").replace("dims: 2", ""))
    pod.ask_for(PreparationModel("digits", "digits", text))
    without = found_digest(pod)
    assert with_file != without
    (pod.source / "digits" / "config.pbtxt").unlink()
    assert found_digest(pod) == without


@pytest.mark.parametrize("copy", [False, True])
def test_links_in_the_repository_are_copied_as_what_they_point_to(pod: Pod, copy: bool) -> None:
    model = pod.add("digits", v1="x")
    (pod.source / "shared.bin").write_text("weights")
    (model / "1" / "weights.bin").symlink_to("../../shared.bin")
    (model / "1" / "up").symlink_to("..")
    (model / "2").symlink_to("1")
    pod.ask_for(PreparationModel("digits", "digits", copy=copy))
    assert pod.versions() == ("2",)
    assert (pod.models / "digits" / "2" / "weights.bin").read_text() == "weights"


def test_a_disk_that_is_too_small(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message contains the required and the free space, and nothing is copied."""
    pod.add("digits", v1="x" * (3 << 20))
    pod.ask_for(PreparationModel("digits", "digits", copy=True))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2 << 20))
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.OUT_OF_SPACE, "digits")
    assert "needs 3 MiB, but the disk had 2 MiB free" in failure.message


def found_content(pod: Pod) -> str:
    """Run `prepare` and return the mark that the operator compares between pods that serve the same model."""
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    return outcome.models[0].content


@pytest.mark.parametrize("budget", [digests.BUDGET, 0], ids=["with a digest", "too large for a digest"])
def test_pods_that_serve_the_same_have_the_same_mark_and_others_have_not(
    pod: Pod, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests.model_digest, "__defaults__", (budget,))
    model = pod.add("digits", v1="x" * 200_000)
    seen = [found_content(pod)]
    assert found_content(pod) == seen[0]
    for content in ("y" + "x" * 199_999, "x" * 199_999 + "y", "x" * 200_001):
        (model / "1" / "model.pt").write_text(content)
        seen.append(found_content(pod))
    (model / "config.pbtxt").write_text(CONFIG + "max_batch_size: 8")
    seen.append(found_content(pod))
    assert len(set(seen)) == len(seen)


def test_a_configuration_that_the_object_brings_counts_too(pod: Pod) -> None:
    """The digest excludes the configuration, but a user may edit the ConfigMap between the starts of two pods."""
    pod.add("digits", config=None, v1="x")
    name = pod.add_config("digits.pbtxt", CONFIG)
    pod.ask_for(PreparationModel("digits", "digits", config=name))
    before, digest = found_content(pod), found_digest(pod)
    pod.add_config("digits.pbtxt", CONFIG + "max_batch_size: 8")
    assert found_content(pod) != before
    assert found_digest(pod) == digest
