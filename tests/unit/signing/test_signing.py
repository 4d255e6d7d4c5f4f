"""Sign a model's folder, change something, and verify it; also against the command line of OpenSSF model signing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.signers import Signer, forge_signature
from triton_operator.api.conditions import Reason
from triton_operator.signing.errors import KeyFileError, SigningError, VerificationError
from triton_operator.signing.keys import VerificationKey, key_in_memory, read_key
from triton_operator.signing.sign import sign_model
from triton_operator.signing.signing_keys import create
from triton_operator.signing.statement import MAX_BYTES
from triton_operator.signing.verify import verify_model

FOLDER = "digits"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with two versions and a hidden file."""
    folder = tmp_path / FOLDER
    for version in ("1", "2"):
        (folder / version).mkdir(parents=True)
        (folder / version / "model.pt").write_bytes(b"model " + version.encode())
    (folder / "config.pbtxt").write_text('backend: "pytorch"\n')
    (folder / ".notes").write_text("hidden")
    return folder


def known(*signers: Signer) -> list[VerificationKey]:
    return [read_key(f"key-{number}", signer.public) for number, signer in enumerate(signers, 1)]


def test_the_key_that_signed_is_named(model: Path, signer: Signer, tmp_path: Path) -> None:
    signer.sign(model)
    other = Signer(tmp_path, 2)
    assert verify_model(model, FOLDER, known(signer)) == "key-1"
    assert verify_model(model, FOLDER, known(other, signer)) == "key-2"


def test_signing_again_replaces_the_signature(model: Path, signer: Signer, tmp_path: Path) -> None:
    signer.sign(model)
    (model / "config.pbtxt").write_text('backend: "python"\n')
    other = Signer(tmp_path, 2)
    other.sign(model)
    assert verify_model(model, FOLDER, known(other)) == "key-1"
    assert sorted(each.name for each in model.iterdir()) == [".notes", "1", "2", "config.pbtxt", "model.sig"]


Change = Callable[[Path, Path], object]

CHANGES: dict[str, tuple[Change, str, str]] = {
    "the signature is missing": (lambda m, _: (m / "model.sig").unlink(), Reason.MODEL_UNSIGNED, "model.sig"),
    "one bit of a model file": (lambda m, _: flip(m / "2" / "model.pt"), Reason.SIGNED_FILE_CHANGED, "2/model.pt"),
    "one bit of the config": (lambda m, _: flip(m / "config.pbtxt"), Reason.SIGNED_FILE_CHANGED, "config.pbtxt"),
    "one bit of a hidden file": (lambda m, _: flip(m / ".notes"), Reason.SIGNED_FILE_CHANGED, ".notes"),
    "a file is added": (lambda m, _: (m / "1" / "x.so").touch(), Reason.SIGNED_FILES_ADDED, "1/x.so"),
    "a hidden file is added": (lambda m, _: (m / ".x").touch(), Reason.SIGNED_FILES_ADDED, ".x"),
    "a version is added": (
        lambda m, _: shutil.copytree(m / "2", m / "3"),
        Reason.SIGNED_FILES_ADDED,
        "3/model.pt",
    ),
    "a file is removed": (lambda m, _: (m / "1" / "model.pt").unlink(), Reason.SIGNED_FILES_MISSING, "1/model.pt"),
    "two versions are swapped": (lambda m, _: swap(m / "1", m / "2"), Reason.SIGNED_FILE_CHANGED, "1/model.pt"),
    "a link to a file": (lambda m, _: (m / "1" / "l").symlink_to("/etc/passwd"), Reason.SIGNED_LINK_FOUND, "1/l"),
    "a file becomes a link": (lambda m, t: as_link(m / "1" / "model.pt", t), Reason.SIGNED_LINK_FOUND, "1/model.pt"),
    "a folder becomes a link": (lambda m, t: as_link(m / "1", t), Reason.SIGNED_LINK_FOUND, "1"),
    "the signature is a link": (lambda m, t: as_link(m / "model.sig", t), Reason.SIGNED_LINK_FOUND, "model.sig"),
    "one bit of the signature": (lambda m, _: forge_signature(m), Reason.SIGNATURE_INVALID, "key-1"),
    "an empty signature": (lambda m, _: (m / "model.sig").write_bytes(b""), Reason.SIGNATURE_INVALID, "OpenSSF"),
    "another key signs": (lambda m, t: Signer(t, 2).sign(m), Reason.SIGNER_UNKNOWN, "key-1 ("),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_after_signing_is_refused_with_its_own_reason(
    change: str, model: Path, signer: Signer, tmp_path: Path
) -> None:
    signer.sign(model)
    assert verify_model(model, FOLDER, known(signer)) == "key-1"
    make, reason, named = CHANGES[change]
    make(model, tmp_path)
    with pytest.raises(VerificationError) as refused:
        verify_model(model, FOLDER, known(signer))
    assert refused.value.reason == reason
    assert named in str(refused.value)


def test_a_model_of_the_old_key_is_accepted_until_only_the_new_one_is_named(
    model: Path, signer: Signer, tmp_path: Path
) -> None:
    """A key that was replaced cannot be told from one that was never named."""
    new = Signer(tmp_path, 2)
    signer.sign(model)
    both = [read_key("old", signer.public), read_key("new", new.public)]
    assert verify_model(model, FOLDER, both) == "old"
    with pytest.raises(VerificationError) as refused:
        verify_model(model, FOLDER, both[1:])
    assert refused.value.reason == Reason.SIGNER_UNKNOWN
    new.sign(model)
    assert verify_model(model, FOLDER, both) == verify_model(model, FOLDER, both[1:]) == "new"


def test_the_signature_of_another_model_is_refused(model: Path, signer: Signer) -> None:
    signer.sign(model)
    renamed = model.rename(model.with_name("fraud"))
    with pytest.raises(VerificationError, match='signature of "digits", not of "fraud"') as refused:
        verify_model(renamed, "fraud", known(signer))
    assert refused.value.reason == Reason.SIGNATURE_OF_OTHER_MODEL


def test_a_pipe_in_the_place_of_the_signature_is_refused(model: Path, signer: Signer) -> None:
    """A reader would wait until somebody writes."""
    os.mkfifo(model / "model.sig")
    with pytest.raises(VerificationError, match="cannot be read") as refused:
        verify_model(model, FOLDER, known(signer))
    assert refused.value.reason == Reason.SIGNATURE_INVALID


def test_a_signature_of_more_than_the_limit_is_not_read(model: Path, signer: Signer) -> None:
    with (model / "model.sig").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(VerificationError, match="more than 8 MiB"):
        verify_model(model, FOLDER, known(signer))


def test_signatures_of_the_reference_implementation_are_accepted_and_ours_by_it(model: Path, signer: Signer) -> None:
    reference = [sys.executable, "-W", "ignore", "-m", "model_signing"]
    signature = str(model / "model.sig")
    subprocess.run(
        [*reference, "sign", "key", "--private_key", str(signer.key), "--signature", signature, str(model)],
        check=True,
        capture_output=True,
    )
    assert verify_model(model, FOLDER, known(signer)) == "key-1"
    signer.sign(model)
    verify = [*reference, "verify", "key", "--public_key", str(signer.public), "--signature", signature, str(model)]
    subprocess.run(verify, check=True, capture_output=True)
    flip(model / "1" / "model.pt")
    assert subprocess.run(verify, check=False, capture_output=True).returncode != 0


def test_a_created_key_signs_with_its_password_and_is_private(model: Path, tmp_path: Path) -> None:
    key = tmp_path / "release.key"
    public = create(key, "secret")
    assert key.stat().st_mode & 0o777 == 0o600
    assert sign_model(model, key, "secret") == [".notes", "1/model.pt", "2/model.pt", "config.pbtxt"]
    assert verify_model(model, FOLDER, [key_in_memory("release", public.read_text())]) == "release"
    with pytest.raises(SigningError, match=r"release\.key is not a usable private key"):
        sign_model(model, key, "wrong")
    with pytest.raises(SigningError, match="already exists"):
        create(key)


def test_a_folder_with_a_link_or_without_files_cannot_be_signed(model: Path, signer: Signer, tmp_path: Path) -> None:
    (model / "1" / "latest").symlink_to(model / "1" / "model.pt")
    with pytest.raises(SigningError, match="1/latest is a link"):
        signer.sign(model)
    assert not (model / "model.sig").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SigningError, match="contains no files"):
        signer.sign(tmp_path / "empty")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "neither a public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "neither a public key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "neither a public key"),
    ],
)
def test_a_key_that_is_no_key_is_named(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(content)
    with pytest.raises(KeyFileError, match=f'key "release" is {message}'):
        read_key("release", file)
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_key("release", tmp_path / "missing")


def flip(file: Path) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def swap(one: Path, other: Path) -> None:
    """Give each path the content of the other one."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def as_link(path: Path, folder: Path) -> None:
    """Move a path elsewhere and leave a link to it."""
    moved = folder / f"moved-{path.name}"
    path.rename(moved)
    path.symlink_to(moved)
