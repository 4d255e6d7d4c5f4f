"""The output of a successful `prepare`: the model tree and the digests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.pod_folders import CONFIG, Pod
from triton_operator.api.conditions import Reason
from triton_operator.api.scan import ScanResult
from triton_operator.triton.prepare_contract.outcome import Prepared, PreparedModel


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Create a pod whose object requests the model `digits`."""
    return Pod(tmp_path)


def test_models_are_linked_and_named_after_the_object(pod: Pod) -> None:
    """Names of repository folders are ignored; side files are linked, but hidden files and old versions are not."""
    model = pod.add("teams/vision/v7", v1="old", v2="new")
    (model / "labels.txt").write_text("zero\n", encoding="utf-8")
    (model / ".git").mkdir()
    pod.ask(("digits", "teams/vision/v7"))
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared)
    assert [(found.name, found.versions) for found in outcome.models] == [("digits", ("2",))]
    laid_out = pod.models / "digits"
    assert sorted(entry.name for entry in laid_out.iterdir()) == ["2", "config.pbtxt", "labels.txt"]
    assert (laid_out / "2" / "model.pt").read_text() == "new"
    assert (laid_out / "config.pbtxt").read_text() == CONFIG
    assert all(entry.is_symlink() for entry in laid_out.iterdir())


def test_a_folder_of_the_repository_can_hold_the_models(pod: Pod) -> None:
    """`source_path` is relative to the mount, with or without slashes."""
    pod.add("repo/models/digits", v1="x")
    for path in ("repo/models", "/repo/models/", "./repo//models"):
        pod.ask("digits", source_path=path)
        assert pod.versions() == ("1",)


def test_running_again_follows_the_new_list(pod: Pod) -> None:
    """An init container can run again in the same pod; links of its previous run are removed."""
    pod.add("digits", v1="x")
    pod.add("linear", v3="y")
    pod.ask("digits", "linear")
    pod.prepare()
    (pod.source / "digits" / "2").mkdir()
    (pod.source / "digits" / "2" / "model.pt").write_text("z")
    pod.ask("digits")
    assert pod.versions() == ("2",)
    assert pod.versions() == ("2",)
    assert sorted(entry.name for entry in pod.models.iterdir()) == [".prepared", "digits"]
    assert sorted(entry.name for entry in (pod.models / "digits").iterdir()) == ["2", "config.pbtxt"]


def test_what_prepare_did_not_make_is_not_removed(pod: Pod) -> None:
    """A wrong --models flag must not delete a user's files."""
    pod.add("digits", v1="x")
    precious = pod.models / "photos" / "cat.jpg"
    precious.parent.mkdir()
    precious.write_text("meow")
    failure = pod.failure()
    assert failure.reason == Reason.PREPARE_FAILED
    assert str(precious) in failure.message
    assert precious.read_text() == "meow"


def test_the_digest_is_what_sha256sum_says(pod: Pod) -> None:
    """The documented command computes the same digest; different content has a different digest."""
    model = pod.add("digits", v1="x", v2="not served")
    (model / "1" / "extra").mkdir()
    (model / "1" / "extra" / "ä b").write_text("y")
    (model / "config.pbtxt").write_text(CONFIG + "version_policy { specific { versions: 1 } }")
    command = "find -L config.pbtxt 1 -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    shell = subprocess.run(["sh", "-c", command], cwd=model, check=True, capture_output=True, text=True)
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared)
    (prepared,) = outcome.models
    assert prepared == PreparedModel(
        "digits", ("1",), f"sha256:{shell.stdout.split()[0]}", prepared.content, scan=ScanResult(0)
    )
    (model / "1" / "model.pt").write_text("z")
    changed = pod.prepare()
    assert isinstance(changed, Prepared)
    assert changed.models[0].digest not in {"", f"sha256:{shell.stdout.split()[0]}"}


def test_a_link_inside_the_repository_may_be_followed(pod: Pod) -> None:
    """Examples are shared weights, and a version that is a link to another version."""
    model = pod.add("digits", v1="x")
    (pod.source / "shared.bin").write_text("weights")
    (model / "1" / "weights.bin").symlink_to("../../shared.bin")
    (model / "2").symlink_to("1")
    (model / "2" / "up").symlink_to("..")
    assert pod.versions() == ("2",)
    assert (pod.models / "digits" / "2" / "weights.bin").read_text() == "weights"
