"""`tritonctl encrypt` and `tritonctl decrypt`: output, exit status, and what stays on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import pytest

from tests.tritonctl import tritonctl

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
    assert not (tmp_path / "out").exists()
