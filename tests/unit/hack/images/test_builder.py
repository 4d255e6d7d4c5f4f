"""Building images: equal inputs give equal tags and bytes, and a change rebuilds only the layers above it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from hack.images import builder, catalogue, pack
from hack.images.containerfile import parse
from hack.images.contexts import Context, Folder, PreparedContext
from hack.images.failures import ImageError
from hack.images.plan import make_plan
from tests.paths import ROOT


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a separate cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(folder))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Create a small model repository."""
    folder = tmp_path / "models"
    (folder / "digits" / "1").mkdir(parents=True)
    (folder / "digits" / "config.pbtxt").write_text('name: "digits"')
    (folder / "digits" / "1" / "model.pt").write_bytes(b"weights")
    (folder / "digits" / "1" / "model.pt").chmod(0o600)
    for unwanted in ("__pycache__", ".mypy_cache"):
        (folder / "digits" / unwanted).mkdir()
        (folder / "digits" / unwanted / "x").touch()
    (folder / "NOTES").touch()
    (folder / ".dockerignore").write_text("NOTES\n.dockerignore\n")
    return folder


def contents(archive: Path) -> dict[str, bytes]:
    """Read every file of an image archive."""
    with tarfile.open(archive) as opened:
        return {entry.name: opened.extractfile(entry).read() for entry in opened}  # type: ignore[union-attr]


def test_a_model_container_holds_the_repository_and_nothing_else(models: Path, tmp_path: Path) -> None:
    """Files are readable by any user, owned by root and have a fixed time."""
    files = contents(pack("toy", models).archive)
    manifest = json.loads(next(data for name, data in files.items() if b'"layers"' in data and "blobs" in name))
    (layer,) = manifest["layers"]
    blob = tmp_path / "layer.tar"
    blob.write_bytes(files[f"blobs/{layer['digest'].replace(':', '/')}"])
    with tarfile.open(blob) as opened:
        entries = {entry.name: entry for entry in opened}
    assert sorted(entries) == ["digits", "digits/1", "digits/1/model.pt", "digits/config.pbtxt"]
    assert {stat.filemode(entry.mode)[1:] for entry in entries.values() if entry.isfile()} == {"rw-r--r--"}
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, 315532800)}


def test_every_blob_has_the_digest_it_is_named_by(models: Path) -> None:
    """As an importer checks it; the index contains the image's name for containerd."""
    image = pack("toy", models)
    files = contents(image.archive)
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/sha256/")}
    assert all(name.endswith(hashlib.sha256(data).hexdigest()) for name, data in blobs.items())
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == image.reference
    assert entry["digest"] == image.digest


def test_the_same_inputs_give_the_same_bytes(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another cache, which represents another machine."""
    first = pack("toy", models)
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "other"))
    second = pack("toy", models)
    assert first.archive != second.archive
    assert (first.reference, first.archive.read_bytes()) == (second.reference, second.archive.read_bytes())


def test_a_changed_file_gives_another_tag(models: Path) -> None:
    """With a fixed tag, a node could run the image that it imported before."""
    before = pack("toy", models)
    (models / "digits" / "1" / "model.pt").write_bytes(b"others!")
    after = pack("toy", models)
    assert before.reference != after.reference
    assert before.archive.exists()


def test_an_unchanged_image_is_not_built_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call only reads the sources."""
    first = pack("toy", models)
    monkeypatch.delattr(builder, "ensure_layer")
    assert pack("toy", models) == first


def test_an_interrupted_build_is_done_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete archive is not used."""
    with monkeypatch.context() as broken:
        broken.setattr("hack.images.oci.read_digest", None)
        broken.setattr("tarfile.TarFile.addfile", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            pack("toy", models)
    assert contents(pack("toy", models).archive)


def test_pruning_leaves_the_present_images_alone(models: Path) -> None:
    """Images of earlier sources are removed."""
    before = pack("toy", models)
    (models / "digits" / "config.pbtxt").write_text("changed")
    after = pack("toy", models)
    assert builder.prune([catalogue.model_container("toy", models)]) > 0
    assert (before.archive.exists(), after.archive.exists()) == (False, True)
    assert pack("toy", models) == after


def test_a_build_removes_images_that_were_not_used_for_days(models: Path, cache: Path) -> None:
    """But not those that another checkout with the same cache has used since."""
    config = models / "digits" / "config.pbtxt"
    old = pack("toy", models)
    old_layers = stored_layers(cache)
    config.write_text("of another checkout")
    recent = pack("toy", models)
    recent_layers = stored_layers(cache) - old_layers
    for path in [old.archive, recent.archive, *old_layers, *recent_layers]:
        os.utime(path, (0, 0))
    assert pack("toy", models) == recent
    config.write_text("new")
    new = pack("toy", models)
    assert [image.archive.exists() for image in (old, recent, new)] == [False, True, True]
    assert not old_layers & stored_layers(cache)
    assert recent_layers < stored_layers(cache)


def stored_layers(cache: Path) -> set[Path]:
    """Folders of all layers in the cache."""
    return set((cache / "images" / "layers").iterdir())


def test_a_pattern_in_the_ignore_file_is_refused(models: Path) -> None:
    """Docker would interpret it differently."""
    (models / ".dockerignore").write_text("*.md\n")
    with pytest.raises(ImageError, match="patterns are not supported"):
        pack("toy", models)


def contexts(folder: Path) -> dict[str, Context]:
    """Give a main context and packages that `plan` must not fetch."""
    return {"": Folder(folder), "packages": PreparedContext("locked", lambda: pytest.fail("a plan prepares nothing"))}


RECIPE = """\
FROM base
COPY --from=packages . /packages
RUN ["compile"]
COPY digits /app
RUN ["compile", "/app"]
ENTRYPOINT ["serve"]
"""


def test_a_change_of_sources_leaves_the_layers_below_alone(models: Path) -> None:
    """The operator is rebuilt without its dependencies."""
    before = make_plan(parse(RECIPE), contexts(models), "debian")
    (models / "digits" / "config.pbtxt").write_text("changed")
    after = make_plan(parse(RECIPE), contexts(models), "debian")
    same = [one.key == other.key for one, other in zip(before.layers, after.layers, strict=True)]
    assert same == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("old", "new"), [('"serve"]', '"other"]'), ("/packages", "/other"), ("ENTRY", "ENV A=1\nENTRY")]
)
def test_a_change_of_the_containerfile_gives_another_key(models: Path, old: str, new: str) -> None:
    """Settings count as much as files."""
    before = make_plan(parse(RECIPE), contexts(models), "debian")
    after = make_plan(parse(RECIPE.replace(old, new)), contexts(models), "debian")
    assert before.key != after.key


def test_another_base_changes_every_layer_but_scratch_knows_none(models: Path) -> None:
    """A model container does not depend on Debian."""
    one, other = (make_plan(parse(RECIPE), contexts(models), base) for base in ("debian 1", "debian 2"))
    assert all(a.key != b.key for a, b in zip(one.layers, other.layers, strict=True))
    scratch = "FROM scratch\nCOPY . /\n"
    one, other = (make_plan(parse(scratch), contexts(models), base) for base in ("debian 1", "debian 2"))
    assert one == other


def test_an_unknown_image_or_context_is_refused_with_what_there_is(models: Path) -> None:
    """For example, a typo."""
    with pytest.raises(ImageError, match="unknown image 'opreator'; available: operator, triton-cpu"):
        catalogue.definition("opreator")
    with pytest.raises(ImageError, match="unknown build context 'package'"):
        make_plan(parse("FROM scratch\nCOPY --from=package . /\n"), contexts(models), "")


def test_torch_has_the_version_that_training_uses() -> None:
    """A model is served by the version of torch that exported it."""
    locks = [ROOT / "requirements-torch.lock", ROOT / "operator/triton_operator/cpu_server/requirements.lock"]
    first, second = ([line for line in lock.read_text().splitlines() if line.startswith("torch==")] for lock in locks)
    assert first == second
