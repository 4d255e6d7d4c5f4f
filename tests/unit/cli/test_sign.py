"""`tritonctl sign` and `tritonctl verify`: output, exit status, and what stays on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.tritonctl import tritonctl

Capsys: TypeAlias = pytest.CaptureFixture[str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two models in the current folder."""
    for name in ("digits", "linear"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        (tmp_path / "models" / name / "1" / "model.pt").write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


def test_all_models_of_a_repository_are_signed_and_verified(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = tritonctl(capsys, "sign", "models", "--key", "release.key", "--create-key")
    assert (signed.code, signed.out.splitlines()) == (
        0,
        [
            "release.key.pub: public key, for spec.verification.keys",
            "models/digits: signed 1 files",
            "models/linear: signed 1 files",
        ],
    )
    verified = tritonctl(capsys, "verify", "models", "--key", "release.key.pub")
    assert (verified.code, verified.out.splitlines()) == (
        0,
        ["models/digits: signed by release.key.pub", "models/linear: signed by release.key.pub"],
    )
    (repository / "linear" / "1" / "model.pt").write_bytes(b"other")
    refused = tritonctl(capsys, "verify", "models", "--key", "release.key.pub", "-o", "json")
    assert refused.code == 1
    digits, linear = json.loads(refused.out)
    assert (digits["signed_by"], digits["reason"]) == ("release.key.pub", "")
    assert (linear["signed_by"], linear["reason"]) == ("", "SignedFileChanged")
    assert "1 of 2 models would be rejected" in refused.err


def test_a_key_with_a_password_needs_its_file(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("secret\n")
    sign = ("sign", str(repository / "digits"), "--key", "release.key")
    assert tritonctl(capsys, *sign, "--create-key", "--password-file", "password").code == 0
    assert tritonctl(capsys, *sign, "--password-file", "password").code == 0
    without = tritonctl(capsys, *sign)
    assert (without.code, "release.key is not a usable private key" in without.err) == (1, True)
    missing = tritonctl(capsys, *sign, "--password-file", "missing")
    assert (missing.code, "--password-file: missing cannot be read" in missing.err) == (2, True)


def test_wrong_paths_and_keys_are_usage_errors(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.key").write_text("text")
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        (("sign", "missing", "--key", "no.key"), "missing: No such file or directory"),
        (("sign", "empty", "--key", "no.key"), "empty: contains no model"),
        (("verify", "empty", "--key", "no.key"), 'key "no.key" is neither a public key'),
        (("verify", str(repository), "--key", "missing"), "missing cannot be read"),
    ):
        result = tritonctl(capsys, *arguments)
        assert (result.code, message in result.err) == (2, True), result.err
