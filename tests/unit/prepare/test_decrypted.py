"""`prepare` decrypts models into memory, together with signatures, and leaves nothing behind if it fails."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.archives import a_model_file
from tests.encrypted import encrypt
from tests.pod_folders import CONFIG, Pod
from tests.signers import Signer
from triton_operator.api.conditions import Reason
from triton_operator.api.model import LatestVersions, VersionPolicy
from triton_operator.encryption.keyset import create_keyset
from triton_operator.prepare import decrypted
from triton_operator.triton.prepare_contract.outcome import Prepared
from triton_operator.triton.prepare_contract.request import PreparationModel

PARAMETER = 'parameters { key: "k" value { string_value: "%s" } }'
LATEST = VersionPolicy(latest=LatestVersions(1))
CLEAN = a_model_file(None, code="def f(x):\n  return x\n")
HARMFUL = a_model_file(None, code="def f(x):\n  torch.save(x)\n")
MIB = 1 << 20


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """A pod with two models, of which one is encrypted."""
    (tmp_path / "pod").mkdir()
    pod = Pod(tmp_path / "pod")
    encrypt(pod, pod.add("digits", v1="model"))
    pod.add("plain", v1="plain")
    pod.ask("digits", "plain")
    return pod


def served(pod: Pod) -> dict[str, str]:
    """Run it, expect success, and return the content of each model's file as Triton reads it."""
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    return {model.name: (pod.models / model.name / "1" / "model.pt").read_text() for model in outcome.models}


def test_an_encrypted_model_is_served_from_memory_and_others_from_their_source(pod: Pod) -> None:
    assert served(pod) == {"digits": "model", "plain": "plain"}
    assert pod.plaintext in (pod.models / "digits" / "1" / "model.pt").resolve().parents
    assert pod.source in (pod.models / "plain" / "1" / "model.pt").resolve().parents
    assert not any(b"model" in file.read_bytes() for file in (pod.source / "digits").rglob("*.enc"))


def test_a_restarted_pod_decrypts_again(pod: Pod) -> None:
    assert served(pod) == served(pod)
    (pod.plaintext / "left").write_text("of an interrupted run")
    served(pod)
    assert [entry.name for entry in pod.plaintext.iterdir()] == ["digits"]


@pytest.mark.parametrize("linked", [False, True])
def test_the_configuration_of_an_encrypted_model_is_in_memory_only(tmp_path: Path, linked: bool) -> None:
    """It is completed, and the tree is on a disk; the search finds that of a model in the clear there."""
    root = tmp_path / "root"
    (tmp_path / "target" if linked else root).mkdir()
    if linked:
        root.symlink_to("target")
    pod = Pod(root)
    encrypt(pod, pod.add("digits", CONFIG + PARAMETER % "secret", v1="m"))
    pod.add("plain", CONFIG + PARAMETER % "public", v1="plain")
    pod.ask_for(*(PreparationModel(name, name, version_policy=LATEST) for name in ("digits", "plain")))
    assert "version_policy" in pod.served()
    configs = {name: pod.models / name / "config.pbtxt" for name in ("digits", "plain")}
    assert "secret" in configs["digits"].read_text()
    assert configs["digits"].resolve() == (pod.plaintext / "digits" / "config.pbtxt").resolve()
    on_disk = [file for file in pod.models.rglob("*") if file.is_file() and not file.is_symlink()]
    assert [file for file in on_disk if b"public" in file.read_bytes()] == [configs["plain"]]
    assert [file for file in on_disk if b"secret" in file.read_bytes()] == []


def test_an_encrypted_model_that_is_scanned_is_not_copied_to_the_disk(tmp_path: Path) -> None:
    """A model in the clear is: whoever can write to its source must not change it after the scan."""
    pod = Pod(tmp_path)
    pod.refuse_findings()
    encrypt(pod, pod.add("digits", v1=CLEAN))
    pod.add("plain", v1=CLEAN)
    pod.ask_for(*(PreparationModel(name, name, copy=True) for name in ("digits", "plain")))
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    files = {name: pod.models / name / "1" / "model.pt" for name in ("digits", "plain")}
    assert pod.plaintext in files["digits"].resolve().parents
    on_disk = [file for file in pod.models.rglob("*") if file.is_file() and not file.is_symlink()]
    assert [file for file in on_disk if file.read_bytes() == CLEAN] == [files["plain"]]


def test_the_plaintext_is_scanned(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    pod.refuse_findings()
    encrypt(pod, pod.add("digits", v1=HARMFUL))
    pod.ask("digits")
    refused = pod.failure()
    assert (refused.reason, refused.model) == (Reason.MODEL_SCAN_REFUSED, "digits")
    assert "1/model.pt: code/__torch__.py: line 2: writes a file" in refused.message


def test_an_encrypted_model_without_a_key_is_refused(pod: Pod) -> None:
    pod.keyset.unlink()
    pod.ask("plain", "digits")
    refused = pod.failure()
    assert (refused.reason, refused.model) == (Reason.DECRYPTION_KEY_MISSING, "digits")


def test_a_wrong_key_leaves_nothing_behind(pod: Pod) -> None:
    encrypt(pod, pod.add("other", v1="other"))
    pod.keyset.unlink()
    create_keyset(pod.keyset)
    encrypt(pod, pod.add("first", v1="first"))
    pod.ask("first", "digits")
    refused = pod.failure()
    assert (refused.reason, refused.model) == (Reason.DECRYPTION_FAILED, "digits")
    assert list(pod.plaintext.iterdir()) == []
    assert not (pod.models / "first").exists()


def test_a_file_that_is_no_keyset_is_refused_without_its_content(pod: Pod) -> None:
    pod.keyset.write_text("the secret words")
    refused = pod.failure()
    assert refused.reason == Reason.DECRYPTION_FAILED
    assert "words" not in pod.message()


def test_models_that_do_not_fit_are_refused_with_both_numbers_before_the_decryption(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt(pod, pod.add("large", v1=bytes(3 * MIB)))
    pod.ask("large")
    monkeypatch.setattr(decrypted, "free_bytes", lambda _: 2 * MIB)
    refused = pod.failure()
    assert refused.reason == Reason.PLAINTEXT_TOO_LARGE
    assert "the decrypted models need 3.0 MiB, but the volume has 2.0 MiB free" in refused.message
    assert list(pod.plaintext.iterdir()) == []


def test_a_volume_that_becomes_full_meanwhile_is_reported_like_one_that_is_too_small(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run fills it after the comparison; a part of the model is in it then."""

    def fill(_folder: Path, _name: str, target: Path, _keys: object) -> None:
        target.mkdir()
        (target / "model.pt").write_text("mod")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(decrypted, "decrypt_model", fill)
    assert pod.failure().reason == Reason.PLAINTEXT_TOO_LARGE
    assert list(pod.plaintext.iterdir()) == []


@pytest.mark.parametrize("writable", [False, True])
def test_the_signature_covers_the_ciphertext(pod: Pod, tmp_path: Path, writable: bool) -> None:
    signer = Signer(tmp_path)
    signer.sign(pod.source / "digits")
    pod.verify_with(signer)
    pod.ask_for(PreparationModel("digits", "digits", writable=writable))
    assert served(pod) == {"digits": "model"}
    cipher = pod.source / "digits" / "1" / "model.pt.enc"
    cipher.write_bytes(cipher.read_bytes() + b"x")
    assert pod.failure().reason == Reason.SIGNED_FILE_CHANGED
    assert list(pod.plaintext.iterdir()) == []


def test_a_volume_without_space_for_the_configuration_is_too_small(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def write_outside(file: Path, text: str, **options: Any) -> int:
        if pod.plaintext in file.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, text, **options)

    pod.ask_for(PreparationModel("digits", "digits", version_policy=LATEST))
    monkeypatch.setattr(Path, "write_text", write_outside)
    assert pod.failure().reason == Reason.PLAINTEXT_TOO_LARGE


def test_the_signature_of_the_plaintext_does_not_cover_the_ciphertext(tmp_path: Path) -> None:
    (tmp_path / "pod").mkdir()
    pod, signer = Pod(tmp_path / "pod"), Signer(tmp_path)
    model = signer.sign(pod.add("digits", v1="model"))
    signature = (model / "model.sig").read_bytes()
    (model / "model.sig").unlink()
    encrypt(pod, model)
    (model / "model.sig").write_bytes(signature)
    pod.verify_with(signer)
    pod.ask("digits")
    assert pod.failure().reason == Reason.SIGNED_FILES_ADDED


def test_the_signature_of_the_ciphertext_does_not_cover_the_plaintext(tmp_path: Path) -> None:
    (tmp_path / "pod").mkdir()
    pod, signer = Pod(tmp_path / "pod"), Signer(tmp_path)
    model = pod.add("digits", v1="model")
    encrypt(pod, model)
    signature = (signer.sign(model) / "model.sig").read_bytes()
    shutil.rmtree(model)
    (pod.add("digits", v1="model") / "model.sig").write_bytes(signature)
    pod.verify_with(signer)
    pod.ask("digits")
    assert pod.failure().reason == Reason.SIGNED_FILES_ADDED


def test_a_model_that_was_renamed_in_its_source_is_refused(pod: Pod) -> None:
    (pod.source / "digits").rename(pod.source / "fraud")
    pod.ask("fraud")
    refused = pod.failure()
    assert refused.reason == Reason.DECRYPTION_FAILED
    assert 'the model "digits", not of "fraud"' in refused.message
