"""Encrypted models laid out for a server on this machine: in memory only, and refused as `tritonctl decrypt` does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_deployment
from tests.paths import ROOT
from tests.signers import Signer
from triton_operator.encryption.decrypt import decrypt_model
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.errors import DecryptionError
from triton_operator.encryption.keyset import Keyset, create_keyset, read_keyset
from triton_operator.local.errors import LocalError
from triton_operator.local.models import StagedModels, adapt, stage_models
from triton_operator.local.plaintext import Plaintext
from triton_operator.prepare import decrypted

DECRYPTION = {"secretRef": {"name": "keys"}, "memory": "1Gi"}
MARK = b"# a sentence of the plaintext\n"


def new_keys(file: Path) -> Keyset:
    """Create keys in a new file."""
    create_keyset(file)
    return read_keyset(file.read_bytes(), "keys")


@pytest.fixture
def keys(tmp_path: Path) -> Keyset:
    """The keys of the models."""
    return new_keys(tmp_path / "keys.json")


@pytest.fixture
def repository(tmp_path: Path, keys: Keyset) -> Path:
    """A repository with the encrypted model `digits`, whose configuration has MARK, and an encrypted copy of it."""
    for name in ("digits", "digits_2"):
        clear = tmp_path / "clear" / name
        shutil.copytree(ROOT / "model_repository" / "digits", clear)
        config = clear / "config.pbtxt"
        config.write_bytes(MARK + config.read_bytes())
        encrypt_model(clear, tmp_path / "encrypted" / name, keys)
    return tmp_path / "encrypted"


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """The folder in memory."""
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


def stage(repository: Path, plaintext: Plaintext, **spec: Any) -> StagedModels:
    """Lay out `digits`, in a folder of a run next to the one in memory."""
    run = plaintext.folder.with_name("run")
    run.mkdir()
    image = {"image": {"reference": "models:1"}}
    body = {"modelRepository": image, "models": [{"name": "digits"}], "decryption": DECRYPTION, **spec}
    return stage_models(adapt(a_deployment(**body))[0], repository, run, run.parent / "cache", plaintext)


def files_with_mark(folder: Path) -> list[Path]:
    """The files, not links, below a folder that have MARK."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if MARK in path.read_bytes()]


def test_everything_with_a_part_of_the_plaintext_is_in_memory(repository: Path, memory: Path, keys: Keyset) -> None:
    staged = stage(repository, Plaintext(memory, lambda _: keys))
    run = memory.with_name("run")
    assert [model.name for model in staged.models] == ["digits"]
    assert MARK in (staged.tree / "digits" / "config.pbtxt").read_bytes()
    assert staged.tree.is_relative_to(memory)
    assert (run / "tmp").resolve().is_relative_to(memory)
    assert files_with_mark(memory)
    assert [*files_with_mark(run), *files_with_mark(repository)] == []


def test_a_signature_is_checked_before_the_decryption(
    repository: Path, memory: Path, keys: Keyset, tmp_path: Path
) -> None:
    signer = Signer(tmp_path)
    signer.sign(repository / "digits")
    verification = {"keys": [{"name": "release", "publicKey": signer.public_key}]}
    cut(repository / "digits")
    with pytest.raises(LocalError, match=r'^SignedFileChanged: model "digits": 1/model.pt.enc is not the file'):
        stage(repository, Plaintext(memory, lambda _: keys), verification=verification)
    assert files_with_mark(tmp_path / "memory") == []


def test_a_signed_and_encrypted_model_is_served_with_its_signer(
    repository: Path, memory: Path, keys: Keyset, tmp_path: Path
) -> None:
    signer = Signer(tmp_path)
    signer.sign(repository / "digits")
    verification = {"keys": [{"name": "release", "publicKey": signer.public_key}]}
    staged = stage(repository, Plaintext(memory, lambda _: keys), verification=verification)
    assert [model.signed_by for model in staged.models] == ["release"]


def cut(model: Path) -> None:
    """Cut off the end of a file."""
    file = model / "1" / "model.pt.enc"
    file.write_bytes(file.read_bytes()[:-100])


def swap(model: Path) -> None:
    """Take a file of another model."""
    shutil.copy(model.with_name("digits_2") / "1" / "model.pt.enc", model / "1" / "model.pt.enc")


@pytest.mark.parametrize("tamper", [cut, swap, None], ids=["truncated", "swapped", "wrong key"])
def test_a_refusal_has_the_words_of_decrypt_and_leaves_nothing(
    repository: Path, memory: Path, keys: Keyset, tmp_path: Path, tamper: Callable[[Path], None] | None
) -> None:
    model = repository / "digits"
    if tamper:
        tamper(model)
    used = keys if tamper else new_keys(tmp_path / "other.json")
    with pytest.raises(DecryptionError) as expected:
        decrypt_model(model, "digits", tmp_path / "back", used)
    with pytest.raises(LocalError) as refused:
        stage(repository, Plaintext(memory, lambda _: used))
    assert str(refused.value) == f'DecryptionFailed: model "digits": {expected.value}'
    assert [*files_with_mark(memory), *files_with_mark(memory.with_name("run"))] == []


def test_models_that_do_not_fit_are_refused_with_both_numbers(
    repository: Path, memory: Path, keys: Keyset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decrypted, "free_bytes", lambda _: 300 << 10)
    with pytest.raises(LocalError, match=r"^PlaintextTooLarge: .* need 0\.9 MiB, but /dev/shm has 0\.3 MiB"):
        stage(repository, Plaintext(memory, lambda _: keys))
    assert files_with_mark(memory) == []


def test_a_packed_environment_would_be_unpacked_to_a_disk(memory: Path, keys: Keyset, tmp_path: Path) -> None:
    """Of an encrypted model; in the clear, it is served."""
    clear = tmp_path / "models" / "upper"
    (clear / "1").mkdir(parents=True)
    (clear / "1" / "model.py").write_text("class TritonPythonModel: ...")
    value = 'string_value: "$$TRITON_MODEL_DIRECTORY/environment.tar.gz"'
    parameter = f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ {value} }} }}'
    tensors = 'input { name: "A" data_type: TYPE_FP32 dims: 1 } output { name: "B" data_type: TYPE_FP32 dims: 1 }'
    (clear / "config.pbtxt").write_text(f'backend: "python" {tensors} {parameter}')
    encrypt_model(clear, tmp_path / "encrypted" / "upper", keys)
    models = [{"name": "upper"}]
    with pytest.raises(LocalError, match=r'^model "upper": EXECUTION_ENV_PATH: Triton would unpack .* to /tmp'):
        stage(tmp_path / "encrypted", Plaintext(memory, lambda _: keys), models=models)
    other = tmp_path / "other" / "memory"
    other.mkdir(parents=True)
    assert [model.name for model in stage(clear.parent, Plaintext(other, lambda _: keys), models=models).models] == [
        "upper"
    ]


def test_an_encrypted_model_without_decryption_in_the_spec_is_refused_as_in_a_pod(
    repository: Path, memory: Path, keys: Keyset
) -> None:
    with pytest.raises(LocalError, match=r'^DecryptionKeyMissing: model "digits": .* set spec.decryption'):
        stage(repository, Plaintext(memory, lambda _: keys), decryption=None)
