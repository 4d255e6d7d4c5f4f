"""`tritonctl encrypt` and `tritonctl decrypt`: output, exit status, and what stays on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.tritonctl import tritonctl
from tests.vault_server import OWNER, VaultServer, vault_server
from triton_operator.encryption.wrapped_keyset import WRAPPED_FILE

Capsys: TypeAlias = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two models in the current folder."""
    for name in ("digits", "linear"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        (tmp_path / "models" / name / "1" / "model.pt").write_bytes(bytes(1 << 20))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


def test_all_models_of_a_repository_are_encrypted_and_decrypted(tmp_path: Path, capsys: Capsys) -> None:
    made = tritonctl(capsys, "encrypt", "models", "--key", "keys.json", "--create-key", "--to", "out")
    assert (made.code, made.out.splitlines()) == (
        0,
        ["out/digits: 1 files, 1.0 MiB when decrypted", "out/linear: 1 files, 1.0 MiB when decrypted"],
    )
    again = tritonctl(capsys, "encrypt", "models", "--key", "keys.json", "--to", "out")
    assert (again.code, "out/digits already exists" in again.err) == (1, True)
    back = tritonctl(capsys, "decrypt", "out", "--key", "keys.json", "--to", "back")
    assert (back.code, back.out.splitlines()) == (0, ["back/digits: 1 files", "back/linear: 1 files"])
    assert (tmp_path / "back" / "linear" / "1" / "model.pt").read_bytes() == bytes(1 << 20)
    existing = tritonctl(capsys, "decrypt", "out", "--key", "keys.json", "--to", "back")
    assert (existing.code, "back/digits already exists" in existing.err) == (1, True)


def test_another_key_decrypts_nothing(tmp_path: Path, capsys: Capsys) -> None:
    tritonctl(capsys, "encrypt", "models", "--key", "keys.json", "--create-key", "--to", "out")
    tritonctl(capsys, "encrypt", "models/digits", "--key", "other.json", "--create-key", "--to", "other")
    refused = tritonctl(capsys, "decrypt", "out/digits", "--key", "other.json", "--to", "back")
    assert (refused.code, "was encrypted with the key" in refused.err) == (1, True)
    assert list((tmp_path / "back").iterdir()) == []


def test_wrong_paths_and_keys_are_usage_errors(tmp_path: Path, capsys: Capsys) -> None:
    (tmp_path / "text").write_text("text")
    for arguments, message in (
        (("encrypt", "missing", "--key", "text", "--to", "out"), "missing: No such file or directory"),
        (("encrypt", "models", "--key", "missing", "--to", "out"), "--key: missing cannot be read"),
        (("encrypt", "models", "--key", "text", "--to", "out"), "--key: text is not a keyset"),
        (("decrypt", "models", "--key", "text", "--to", "out"), "models: contains no encrypted model"),
        (("decrypt", "missing", "--key", "text", "--to", "out"), "missing: No such file or directory"),
    ):
        result = tritonctl(capsys, *arguments)
        assert (result.code, message in result.err) == (2, True), result.err
        assert "hidden" not in result.err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultServer]:
    """A vault whose owner runs the commands."""
    monkeypatch.setenv("VAULT_TOKEN", OWNER)
    with vault_server() as server:
        yield server


def test_a_vault_replaces_the_file_with_keys(tmp_path: Path, capsys: Capsys, vault: VaultServer) -> None:
    options = ("--vault", vault.address, "--vault-key", "models")
    made = tritonctl(capsys, "encrypt", "models", *options, "--to", "out")
    assert (made.code, made.out.splitlines()[0]) == (0, "out/digits: 1 files, 1.0 MiB when decrypted")
    assert len(vault.requests) == 2
    assert (tmp_path / "out" / "linear" / WRAPPED_FILE).exists()
    back = tritonctl(capsys, "decrypt", "out", *options, "--to", "back")
    assert (back.code, back.out.splitlines()) == (0, ["back/digits: 1 files", "back/linear: 1 files"])
    assert (tmp_path / "back" / "linear" / "1" / "model.pt").read_bytes() == bytes(1 << 20)


def test_a_denial_of_the_vault_leaves_nothing_and_shows_no_token(
    tmp_path: Path, capsys: Capsys, vault: VaultServer
) -> None:
    (tmp_path / "token").write_text("s.another-token\n")
    options = ("--vault", vault.address, "--vault-key", "models", "--vault-token-file", "token")
    denied = tritonctl(capsys, "encrypt", "models", *options, "--to", "out")
    assert denied.code == 1
    assert f"{vault.address} answered 403 Forbidden: 1 error occurred: * permission denied" in denied.err
    assert "another-token" not in denied.err
    assert not (tmp_path / "out").exists()


def test_wrong_options_for_a_vault_are_usage_errors(
    tmp_path: Path, capsys: Capsys, vault: VaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("text")
    whole = ("--vault", vault.address, "--vault-key", "models")
    for arguments, message in (
        ((), "use --key FILE, or --vault ADDRESS"),
        ((*whole, "--key", "text"), "--key and --vault cannot be combined"),
        ((*whole, "--create-key"), "--create-key requires --key FILE"),
        (("--vault", vault.address), "--vault requires --vault-key NAME"),
        (("--key", "text", "--vault-key", "models"), "--vault-key requires --vault ADDRESS"),
        (("--vault", "http://10.0.0.1", "--vault-key", "models"), "http:// would send keys without encryption"),
        (("--vault", "vault:8200", "--vault-key", "models"), "must be https://HOST"),
        (("--vault", "https://me:hidden@vault", "--vault-key", "k"), "--vault: https://vault must be https://HOST"),
        ((*whole, "--vault-token-file", "missing"), "--vault-token-file: missing cannot be read"),
        (("--vault", "https://vault", "--vault-key", "k", "--vault-ca-file", "text"), "has no certificate in PEM form"),
    ):
        result = tritonctl(capsys, "encrypt", "models", *arguments, "--to", "out")
        assert (result.code, message in result.err) == (2, True), result.err
        assert "hidden" not in result.err
    monkeypatch.delenv("VAULT_TOKEN")
    assert (
        "set VAULT_TOKEN, or use --vault-token-file" in tritonctl(capsys, "encrypt", "models", *whole, "--to", "o").err
    )
    assert vault.requests == []
