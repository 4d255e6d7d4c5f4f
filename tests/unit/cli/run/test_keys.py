"""`tritonctl run` with encrypted models: which key it uses, and what it refuses before anything is fetched."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import ROOT
from tests.tritonctl import tritonctl
from triton_operator.cli.keyset import PROMPT
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.keyset import create_keyset, read_keyset
from triton_operator.local import plaintext
from triton_operator.local.folders import SHARED_MEMORY, region_prefix

NO_MODEL = "has neither spec.decryption nor a model with encryption.json"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an encrypted and a clear model with the same key, another key, and no cache yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRITON_OPERATOR_CACHE", str(tmp_path / "cache"))
    for name in ("keys.json", "other.json"):
        create_keyset(tmp_path / name)
    keys = read_keyset((tmp_path / "keys.json").read_bytes(), "keys")
    encrypt_model(ROOT / "model_repository" / "digits", tmp_path / "encrypted" / "digits", keys)
    shutil.copytree(ROOT / "model_repository" / "linear_regression", tmp_path / "clear" / "linear_regression")
    return tmp_path


def a_file(**spec: Any) -> Path:
    """A YAML file with a ModelDeployment of `digits`."""
    body = {
        "apiVersion": "triton-operator.io/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "digits"},
        "spec": {"modelRepository": {"image": {"reference": "m:1"}}, "models": [{"name": "digits"}], **spec},
    }
    path = Path("digits.yaml")
    path.write_text(yaml.safe_dump(body))
    return path


ENCRYPTED = {
    "decryption": {"secretRef": {"name": "keys"}, "memory": "64Mi"},
    "resources": {"limits": {"memory": "1Gi"}},
}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["encrypted/digits"],
            "encrypted/digits: the models are encrypted; specify the file with their keys",
        ),
        (["encrypted"], "encrypted: the models are encrypted"),
        (["clear", "--key", "keys.json"], f"and clear {NO_MODEL}"),
        (["encrypted", "--key", "missing.json"], "--key: missing.json cannot be read: No such file"),
        (["encrypted", "--key", "digits.yaml"], "--key: digits.yaml is not a keyset of tritonctl encrypt --create-key"),
        (["digits.yaml", "-r", "encrypted"], "digits.yaml: the models are encrypted; specify the file"),
    ],
)
def test_a_missing_or_unusable_key_is_named_before_any_change(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str], words: str
) -> None:
    a_file(**ENCRYPTED)
    outcome = tritonctl(capsys, "run", *arguments)
    assert (outcome.code, words in outcome.err) == (2, True), outcome.err
    assert not (folder / "cache").exists()


def test_a_key_for_an_object_without_decryption_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = tritonctl(capsys, "run", a_file(), "-r", "encrypted", "--key", "keys.json")
    assert (outcome.code, f"and digits.yaml {NO_MODEL}" in outcome.err) == (2, True), outcome.err


@pytest.mark.parametrize("arguments", [["encrypted/digits"], ["digits.yaml", "-r", "encrypted"]])
def test_a_wrong_key_is_exit_status_1_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path, arguments: list[str]
) -> None:
    a_file(**ENCRYPTED)
    prefixes: list[str] = []

    def recorded(run: Path) -> str:
        prefixes.append(region_prefix(run))
        return prefixes[-1]

    monkeypatch.setattr(plaintext, "region_prefix", recorded)
    outcome = tritonctl(capsys, "run", *arguments, "--key", "other.json")
    assert outcome.code == 1
    assert 'DecryptionFailed: model "digits": the model was encrypted with the key' in outcome.err
    (prefix,) = prefixes
    assert list(SHARED_MEMORY.glob(f"{prefix}*")) == []
    assert not list((folder / "cache").rglob("run-*"))


def test_without_the_option_a_terminal_is_asked(folder: Path) -> None:
    """The wrong key is entered, so that the command ends before it downloads Triton."""
    master, slave = pty.openpty()
    program = "import sys; from triton_operator.cli.app import run; sys.exit(run())"
    command = [sys.executable, "-c", program, "run", "encrypted/digits"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process:
        shown = ""
        while PROMPT not in shown:
            shown += os.read(master, 4096).decode()
        os.write(master, (folder / "other.json").read_bytes())
        assert process.wait(60) == 1
        shown += os.read(master, 4096).decode()
    os.close(slave)
    os.close(master)
    assert "DecryptionFailed" in shown
    assert "keyData" not in shown
