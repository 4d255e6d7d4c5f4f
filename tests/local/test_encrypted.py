"""Encrypted models served by `tritonctl run` with a real Triton: the answers, and where the plaintext is meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.local.session import SHARED_MEMORY, Serving, User, command_lines, left_over
from tests.signers import Signer
from tests.vault_server import OWNER, vault_server
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset
from triton_operator.encryption.vault import VaultClient
from triton_operator.encryption.vault_key import VaultKey
from triton_operator.encryption.wrapped_keyset import WrappedKeyset
from triton_operator.sdk.client import Client

MODELS = Path(__file__).parents[2] / "model_repository"
MARK = b"# a sentence that only the plaintext has\n"
TOLERANCE = 1e-5
pytestmark = pytest.mark.timeout(900)  # The first test may download the server.


@pytest.fixture
def disk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user, who has the encrypted model and its key, but not the model in the clear."""
    clear = tmp_path_factory.mktemp("clear") / "digits"
    shutil.copytree(MODELS / "digits", clear)
    config = clear / "config.pbtxt"
    config.write_bytes(MARK + config.read_bytes())
    create_keyset(tmp_path / "keys.json")
    encrypt_model(clear, tmp_path / "encrypted" / "digits", read_keyset((tmp_path / "keys.json").read_bytes(), "keys"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights() -> bytes:
    """Bytes from the middle of the model file, which the archive does not compress."""
    content = (MODELS / "digits" / "1" / "model.pt").read_bytes()
    return content[len(content) // 2 :][:64]


def files_with_plaintext(*folders: Path) -> list[str]:
    """The files below these folders that contain MARK or the weights; links are not followed."""
    found = []
    for folder in folders:
        for place, _, names in os.walk(folder):
            for path in (Path(place, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    content = path.read_bytes()
                    if MARK in content or weights() in content:
                        found.append(path.name)
    return sorted(found)


def in_memory(serving: Serving) -> Path:
    """The folder of a run for decrypted models."""
    return SHARED_MEMORY / f"tritonctl-{serving.run}-plaintext"


def answers(serving: Serving) -> np.ndarray:
    """Send a batch over HTTP."""
    images = np.random.default_rng(0).random((5, 1, 28, 28), dtype=np.float32)
    with Client("digits", url=serving.http) as client:
        return np.asarray(client.infer("digits", {"INPUT__0": images}).outputs["OUTPUT__0"])


@pytest.fixture(scope="module")
def clear_answers(encrypting_user: User) -> np.ndarray:
    """The answers of the model in the clear."""
    with encrypting_user.serving(MODELS / "digits") as serving:
        return answers(serving)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_plaintext_is_only_in_memory_and_only_until_the_end(
    encrypting_user: User, disk: Path, clear_answers: np.ndarray, number: signal.Signals
) -> None:
    """The search finds the plaintext in memory, so it would find it on the disk. After SIGKILL, no other run helps."""
    with encrypting_user.serving("encrypted/digits", "--key", "keys.json") as serving:
        run = serving.run
        np.testing.assert_allclose(answers(serving), clear_answers, atol=TOLERANCE)
        assert files_with_plaintext(in_memory(serving)) == ["config.pbtxt", "model.pt"]
        assert files_with_plaintext(disk, encrypting_user.cache / "runs" / run) == []
        serving.process.send_signal(number)
        serving.process.wait(60)
        end = time.monotonic() + 180
        while in_memory(serving).exists():
            assert number is signal.SIGKILL
            assert time.monotonic() < end
            time.sleep(0.01)
        assert files_with_plaintext(disk, encrypting_user.cache / "runs") == []
        while any("tritonserver" in each for each in left_over(run)):
            assert time.monotonic() < end, left_over(run)
            time.sleep(0.05)


def test_a_vault_unwraps_the_key(
    encrypting_user: User, disk: Path, clear_answers: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is that of the user, who keeps it; no command line or file contains it, or the unwrapped key."""
    monkeypatch.setenv("VAULT_TOKEN", OWNER)
    with vault_server() as vault:
        key = VaultKey(VaultClient(vault.address), "transit", "models", OWNER)
        keyset, wrapped = key.create_keyset()
        encrypt_model(MODELS / "digits", disk / "wrapped" / "digits", keyset, wrapped)
        content = json.loads(vault_plaintext(key, wrapped))["key"][0]["keyData"]["value"]
        vault.requests.clear()
        with encrypting_user.serving("wrapped/digits", "--vault", vault.address, "--vault-key", "models") as serving:
            np.testing.assert_allclose(answers(serving), clear_answers, atol=TOLERANCE)
            assert vault.requests == ["/v1/transit/decrypt/models"]
            kept = [serving.output, *command_lines()]
            for folder in (disk, encrypting_user.cache / "runs" / serving.run, in_memory(serving)):
                kept += [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    assert any(vault.address in each for each in kept)
    assert [each for each in kept if OWNER in each or content in each] == []


def vault_plaintext(key: VaultKey, wrapped: WrappedKeyset) -> bytes:
    """The keyset, as the vault unwraps it."""
    return key.vault.unwrap(key.path, key.name, key.token, wrapped.ciphertext)


def test_an_object_with_signature_and_encryption_is_served_until_the_ciphertext_changes(
    encrypting_user: User, disk: Path, clear_answers: np.ndarray
) -> None:
    """The Secret of the object does not exist here, so the key comes from the option."""
    signer = Signer(disk)
    signer.sign(disk / "encrypted" / "digits")
    spec = {
        "modelRepository": {"pvc": {"claimName": "models"}},
        "models": [{"name": "digits"}],
        "verification": {"keys": [{"name": "release", "publicKey": signer.public_key}]},
        "decryption": {"secretRef": {"name": "model-keys"}, "memory": "64Mi"},
        "resources": {"limits": {"memory": "1Gi"}},
    }
    body = {"apiVersion": "triton-operator.io/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "digits"}}
    (disk / "digits.yaml").write_text(yaml.safe_dump(body | {"spec": spec}))
    arguments = ("digits.yaml", "--repository", "encrypted", "--key", "keys.json")
    with encrypting_user.serving(*arguments) as serving:
        np.testing.assert_allclose(answers(serving), clear_answers, atol=TOLERANCE)
        assert files_with_plaintext(in_memory(serving)) == ["config.pbtxt", "model.pt"]
        assert files_with_plaintext(disk, encrypting_user.cache / "runs" / serving.run) == []
    cipher = disk / "encrypted" / "digits" / "1" / "model.pt.enc"
    cipher.write_bytes(cipher.read_bytes()[:-1])
    refused = encrypting_user.tritonctl("run", *arguments)
    assert refused.returncode == 1
    assert 'SignedFileChanged: model "digits": 1/model.pt.enc' in refused.stderr
