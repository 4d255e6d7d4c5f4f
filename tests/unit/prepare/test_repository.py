"""Paths and links in a model repository: valid ones are resolved, and those that leave the repository are rejected."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pod_folders import CONFIG, Pod
from triton_operator.api.conditions import Reason
from triton_operator.triton.prepare_contract.outcome import Prepared


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Create a pod whose object requests the model `digits`."""
    return Pod(tmp_path)


def test_a_missing_folder_names_what_is_there(pod: Pod) -> None:
    """The message suggests a similar name and lists at most ten names."""
    pod.add("digitz", v1="x")
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.MODEL_NOT_FOUND, "digits")
    assert 'no folder "digits": no "digits" in /, which contains digitz. Did you mean "digitz"?' in failure.message
    for number in range(20):
        (pod.source / f"other-{number:02d}").mkdir()
    pod.ask(("digits", "digitz/sub/model"))
    assert 'no "sub" in /digitz, which contains 1, config.pbtxt.' in pod.failure().message
    pod.ask("linear")
    assert "other-08 and 11 more." in pod.failure().message


def test_an_empty_or_missing_repository(pod: Pod) -> None:
    """The message describes either case."""
    assert "in /, which contains nothing." in pod.failure().message
    pod.ask("digits", source_path="/models/v2")
    assert 'no folder "/models/v2": no "models" in /' in pod.failure().message
    pod.source.rmdir()
    failure = pod.failure()
    assert failure.reason == Reason.PREPARE_FAILED
    assert str(pod.source) in failure.message


def test_a_file_is_no_model_folder(pod: Pod) -> None:
    """The model's path is the path of a model file."""
    pod.add("digits", v1="x")
    pod.ask(("digits", "digits/1/model.pt"))
    assert "/digits/1/model.pt is not a folder" in pod.failure().message


@pytest.mark.parametrize("path", ["..", "../..", "digits/../../x", "/../etc", "x/.."])
def test_a_path_upwards_is_refused(pod: Pod, path: str) -> None:
    """A path with `..` is rejected even if it ends inside the repository."""
    pod.add("digits", v1="x")
    pod.ask(("digits", path))
    assert "leaves the repository" in pod.failure().message
    pod.ask("digits", source_path=path)
    assert "leaves the repository" in pod.failure().message


@pytest.mark.parametrize(
    "place", ["digits", "digits/config.pbtxt", "digits/1", "digits/1/model.pt", "digits/labels.txt"]
)
def test_a_link_out_of_the_repository_is_refused(pod: Pod, place: str) -> None:
    """Triton must not read files outside the repository in the pod."""
    outside = pod.root / "elsewhere"
    outside.mkdir()
    for name in ("1", "model.pt"):
        (outside / name).mkdir()
    (outside / "config.pbtxt").write_text(CONFIG)
    (outside / "1" / "model.pt").write_text("foreign")
    pod.add("digits", v1="x")
    link = pod.source / place
    if link.exists():
        subprocess.run(["rm", "-r", str(link)], check=True)
    link.symlink_to(outside if place in {"digits", "digits/1"} else outside / "config.pbtxt")
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.MODEL_NOT_FOUND, "digits")
    assert f"/{place} is a link" in failure.message
    assert list(pod.models.iterdir()) == []


def test_links_to_nothing_and_to_themselves_are_refused(pod: Pod) -> None:
    """The message contains the target of the link."""
    model = pod.add("digits", v1="x")
    (model / "1" / "gone").symlink_to("nowhere")
    assert "/digits/1/gone is a link to nowhere, which does not exist" in pod.failure().message
    (model / "1" / "gone").unlink()
    (model / "1" / "self").symlink_to("self")
    assert "/digits/1/self is a link to self, which does not exist" in pod.failure().message


def test_a_pipe_is_refused(pod: Pod) -> None:
    """Reading from the pipe would block forever."""
    model = pod.add("digits", v1="x")
    os.mkfifo(model / "1" / "pipe")
    assert "/digits/1/pipe is neither a file nor a folder" in pod.failure().message


def test_links_that_multiply_are_refused(pod: Pod) -> None:
    """Seven folders with 35 links form 97,656 paths, which Triton would all visit; two folders form only a few."""
    model = pod.add("digits", v1="x")
    add_chain(model / "1" / "few", 2, pod.source / "few")
    assert pod.versions() == ("1",)
    add_chain(model / "1" / "many", 7, pod.source / "many")
    failure = pod.failure()
    assert (failure.reason, failure.model) == (Reason.MODEL_NOT_FOUND, "digits")
    assert "/digits has more than 20000 entries, links followed" in failure.message


def add_chain(start: Path, length: int, store: Path) -> None:
    """Create a link `start` to the first of `length` folders, each with five links to the next."""
    folders = [store / str(number) for number in range(length + 1)]
    for folder in folders:
        folder.mkdir(parents=True)
    start.symlink_to(folders[0])
    (folders[-1] / "file").write_text("z")
    for folder, following in itertools.pairwise(folders):
        for number in range(5):
            (folder / str(number)).symlink_to(following)


PLACES = st.sampled_from(
    [
        "digits",
        "digits/1",
        "digits/1/model.pt",
        "digits/1/extra",
        "digits/config.pbtxt",
        "digits/labels.txt",
        "x",
        "x/1",
    ]
)
TARGETS = st.sampled_from(
    [
        *("OUTSIDE", "OUTSIDE/1", "OUTSIDE/1/model.pt", "OUTSIDE/config.pbtxt", "SOURCE", "SOURCE/x", "/", "gone", "1"),
        *(
            "..",
            "../..",
            "../../outside",
            "../../../outside/1",
            "../x",
            "../../x/1",
            "digits",
            "../digits/1",
            "config.pbtxt",
        ),
    ]
)
PATHS = st.one_of(st.just("digits"), PLACES, TARGETS, st.text(max_size=9))


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(links=st.dictionaries(PLACES, TARGETS, max_size=5), path=PATHS)
def test_nothing_that_is_laid_out_leads_out_of_the_repository(tmp_path: Path, links: dict[str, str], path: str) -> None:
    """For any tree with any links, the model is rejected, or all files that Triton can reach are in the source."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        pod = Pod(Path(folder))
        (pod.root / "outside" / "1").mkdir(parents=True)
        (pod.root / "outside" / "1" / "model.pt").write_text("secret")
        (pod.root / "outside" / "config.pbtxt").write_text(CONFIG)
        pod.add("digits", v1="x")
        for place, target in links.items():
            put_link(pod, place, target)
        pod.ask(("digits", path))
        outcome = pod.prepare()
        reached = reachable(pod.models / "digits")
        assert all(real.startswith(os.path.realpath(pod.source)) for real in reached)
        assert bool(reached) == isinstance(outcome, Prepared)


def put_link(pod: Pod, place: str, target: str) -> None:
    """Create a link if possible; it replaces an existing file or folder."""
    link = pod.source / place
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)
        link.unlink(missing_ok=True)
        link.symlink_to(target.replace("OUTSIDE", str(pod.root / "outside")).replace("SOURCE", str(pod.source)))
    except OSError:
        return  # The parent folder is below a file or a broken link.


def reachable(start: Path) -> set[str]:
    """Return the real paths of everything that can be opened through a folder of links."""
    files: set[str] = set()
    waiting = list(start.iterdir()) if start.exists() else []
    while waiting:
        entry = waiting.pop()
        real = os.path.realpath(entry)
        if real not in files and entry.exists():
            files.add(real)
            waiting.extend(entry.iterdir() if entry.is_dir() else ())
    return files
