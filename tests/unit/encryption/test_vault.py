"""Keysets that a vault wraps: what it denies, how long the client waits, and that messages contain no secret."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.vault_server import OWNER, VaultServer, failed, vault_server
from triton_operator.encryption.decrypt import decrypt_model
from triton_operator.encryption.encrypt import encrypt_model
from triton_operator.encryption.errors import (
    DecryptionError,
    VaultDeniedError,
    VaultError,
    VaultUnreachableError,
    VaultUntrustedError,
)
from triton_operator.encryption.vault import VaultClient, check_address
from triton_operator.encryption.vault_key import VaultKey
from triton_operator.encryption.wrapped_keyset import WRAPPED_FILE, read_wrapped


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        yield server


def key_of(vault: VaultServer, name: str = "models", token: str = OWNER) -> VaultKey:
    return VaultKey(VaultClient(vault.address), "transit", name, token)


def encrypted(tmp_path: Path, key: VaultKey, name: str = "digits") -> Path:
    """An encrypted model in a new folder."""
    model = tmp_path / "plain" / name
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.pt").write_text(name)
    folder = tmp_path / "encrypted" / name
    folder.parent.mkdir(exist_ok=True)
    encrypt_model(model, folder, *key.create_keyset())
    return folder


def test_each_model_has_a_keyset_of_its_own_which_the_vault_wraps(vault: VaultServer, tmp_path: Path) -> None:
    key = key_of(vault)
    digits, linear = encrypted(tmp_path, key), encrypted(tmp_path, key, "linear")
    assert key.open_keyset(digits).ids != key.open_keyset(linear).ids
    decrypt_model(digits, "digits", tmp_path / "out", key.open_keyset(digits))
    assert (tmp_path / "out" / "1" / "model.pt").read_text() == "digits"
    assert json.loads((digits / WRAPPED_FILE).read_text())["ciphertext"].startswith("vault:v1:")


def test_the_keyset_of_another_model_decrypts_nothing(vault: VaultServer, tmp_path: Path) -> None:
    key = key_of(vault)
    digits, linear = encrypted(tmp_path, key), encrypted(tmp_path, key, "linear")
    shutil.copy(linear / WRAPPED_FILE, digits / WRAPPED_FILE)
    with pytest.raises(DecryptionError, match=r"use the vault that wrapped the key in encryption\.key\.json"):
        decrypt_model(digits, "digits", tmp_path / "out", key.open_keyset(digits))
    assert not (tmp_path / "out").exists()


def set_fields(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ciphertext": "vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "was changed, or wrapped with another key"),
        ({"ciphertext": "hello"}, "invalid ciphertext: no prefix"),
        ({"key": "other\x1b"}, r'wrapped with the key "other\x1b", not with "models"'),
        ({"version": 2}, "only 1 is supported"),
        ({"ciphertext": 1}, "is not a file of tritonctl encrypt --vault"),
        ({"ciphertext": "a" * (1 << 17)}, "has more than 64 KiB"),
    ],
)
def test_a_changed_wrapped_keyset_is_refused(
    vault: VaultServer, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    key = key_of(vault)
    folder = encrypted(tmp_path, key)
    set_fields(folder / WRAPPED_FILE, **fields)
    with pytest.raises(DecryptionError) as refused:
        key.open_keyset(folder)
    assert words in str(refused.value)


def test_a_missing_wrapped_keyset_and_a_link_are_refused(vault: VaultServer, tmp_path: Path) -> None:
    folder = encrypted(tmp_path, key_of(vault))
    file = folder / WRAPPED_FILE
    moved = file.rename(tmp_path / "moved")
    with pytest.raises(DecryptionError, match="a file with keys encrypted the model"):
        read_wrapped(folder)
    file.symlink_to(moved)
    with pytest.raises(DecryptionError, match="cannot be read"):
        read_wrapped(folder)


def test_content_that_is_no_keyset_is_refused_without_it(vault: VaultServer, tmp_path: Path) -> None:
    """Who can write to the repository could let a pod decrypt any other secret of the vault."""
    key = key_of(vault)
    folder = encrypted(tmp_path, key)
    ciphertext = key.vault.wrap("transit", "models", OWNER, b"a password")
    set_fields(folder / WRAPPED_FILE, ciphertext=ciphertext)
    with pytest.raises(DecryptionError, match="is not a keyset") as refused:
        key.open_keyset(folder)
    assert "password" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "token", "words"),
    [("models", "s.unknown", "403 Forbidden: 1 error occurred: * permission denied"),
     ("other", OWNER, "400 Bad Request: encryption key not found"),
     ("other/models", OWNER, "404 Not Found: no handler")],
)  # fmt: skip
def test_a_denied_key_is_named_with_the_answer(vault: VaultServer, name: str, token: str, words: str) -> None:
    path, _, name = name.rpartition("/")
    with pytest.raises(VaultDeniedError) as denied:
        VaultKey(VaultClient(vault.address), path or "transit", name, token).create_keyset()
    assert str(denied.value).startswith(f"{vault.address} answered {words}")


@pytest.mark.parametrize("status", [307, 412, 429, 500, 502, 503])
def test_a_vault_that_is_sealed_or_busy_may_be_tried_again(vault: VaultServer, status: int) -> None:
    vault.answer = lambda _: failed(status, "Vault is sealed")
    with pytest.raises(VaultUnreachableError, match=f"answered {status} .*: Vault is sealed"):
        key_of(vault).create_keyset()
    assert len(vault.requests) == 1  # A redirect is not followed.


def test_no_answer_is_unreachable(vault: VaultServer) -> None:
    free = VaultServer(address="http://127.0.0.1:1")
    with pytest.raises(VaultUnreachableError, match=r"http://127\.0\.0\.1:1 cannot be reached: Connection refused"):
        key_of(free).create_keyset()


def test_an_error_that_repeats_a_secret_is_not_quoted(vault: VaultServer) -> None:
    vault.answer = lambda _: failed(403, f"the token {OWNER} is not valid")
    with pytest.raises(VaultDeniedError) as denied:
        key_of(vault).create_keyset()
    assert str(denied.value).endswith("answered 403 Forbidden")


@pytest.mark.parametrize("answer", [{}, {"data": {"plaintext": "%"}}, {"data": {"plaintext": "é"}}, {"data": None}])
def test_a_server_that_is_no_vault_is_denied(vault: VaultServer, tmp_path: Path, answer: dict[str, object]) -> None:
    folder = encrypted(tmp_path, key_of(vault))
    vault.answer = lambda _: (200, answer)
    with pytest.raises(VaultDeniedError, match="something other than a response of the vault API"):
        key_of(vault).open_keyset(folder)


def test_only_the_given_authority_is_trusted(tmp_path: Path) -> None:
    own, other = Authority("own"), Authority("other")
    with vault_server(own.issue(tmp_path, ["127.0.0.1"])) as server:
        for authorities in (None, other.pem.encode()):
            with pytest.raises(VaultUntrustedError, match="is not trusted"):
                VaultKey(VaultClient(server.address, authorities), "transit", "models", OWNER).create_keyset()
        assert server.requests == []
        VaultKey(VaultClient(server.address, own.pem.encode()), "transit", "models", OWNER).create_keyset()


@pytest.mark.parametrize(
    "address",
    ["vault", "https://", "https://vault/v1", "https://a:b@vault", "https://vault?x", "https://vault:x", "ftp://vault"],
)
def test_an_address_is_a_scheme_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the library's message for a wrong port
        check_address(address)


@pytest.mark.parametrize("host", ["vault..example.com", f"{'a' * 64}.example.com", "va ult", "va\0ult"])
def test_a_host_that_cannot_exist_is_a_wrong_address(host: str) -> None:
    check_address(f"https://{'a' * 63}.example.com:8200")
    with pytest.raises(ValueError, match="must have a valid host name"):
        VaultClient(f"https://{host}:8200")


@pytest.mark.parametrize("token", ["s.first\nsecond", "s.first\u20acsecond"])
def test_a_token_that_cannot_be_sent_is_not_printed(vault: VaultServer, token: str) -> None:
    client = VaultClient(vault.address)
    for request in (lambda: client.revoke(token), lambda: client.unwrap("transit", "models", token, "vault:v1:")):
        with pytest.raises(VaultError, match="characters that a token cannot have") as refused:
            request()
        assert "first" not in str(refused.value)
        assert refused.value.__context__ is None
    vault.answer = lambda _: (200, {"auth": {"client_token": token}})
    with pytest.raises(VaultDeniedError, match="something other than a response of the vault API"):
        client.log_in("kubernetes", "digits", "jwt")
    assert vault.requests == ["/v1/auth/kubernetes/login"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_http_is_accepted_on_this_machine_only(host: str) -> None:
    check_address(f"http://{host}:8200")
    with pytest.raises(ValueError, match="without encryption"):
        check_address("http://10.0.0.1:8200")
