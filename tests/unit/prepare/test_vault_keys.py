"""`prepare` unwraps the keys of models with a vault: what it reports, what it retries, and that no secret gets out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.certificates import Authority
from tests.encrypted import login_to, wrap
from tests.pod_folders import Pod
from tests.vault_server import JWT, OWNER, VaultServer, failed, vault_server
from triton_operator.api.conditions import Reason
from triton_operator.encryption.vault import VaultClient
from triton_operator.encryption.wrapped_keyset import WRAPPED_FILE, read_wrapped
from triton_operator.prepare.fetch import retry_budget
from triton_operator.triton.prepare_contract.outcome import Prepared

LOGIN, DECRYPT, REVOKE = "/v1/auth/kubernetes/login", "/v1/transit/decrypt/models", "/v1/auth/token/revoke-self"


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        yield server


@pytest.fixture
def pod(tmp_path: Path, vault: VaultServer) -> Pod:
    """A pod with two models, whose keys the vault wrapped."""
    return a_pod(tmp_path / "pod", vault)


def a_pod(root: Path, vault: VaultServer, authorities: bytes | None = None) -> Pod:
    root.mkdir()
    pod = Pod(root)
    models = [pod.add(name, v1=f"the plaintext of {name}") for name in ("digits", "linear")]
    wrap(pod, vault, *models, authorities=authorities)
    pod.ask("digits", "linear")
    return pod


def ask(pod: Pod, vault: VaultServer, jwt: str = JWT, **fields: str) -> None:
    pod.unwrap_with(login_to(vault, **fields), jwt)
    pod.ask("digits", "linear")


def content_of(folder: Path, vault: VaultServer) -> bytes:
    """The keyset of an encrypted model."""
    return VaultClient(vault.address).unwrap("transit", "models", OWNER, read_wrapped(folder).ciphertext)


def test_one_login_unwraps_the_keys_of_all_models(pod: Pod, vault: VaultServer) -> None:
    vault.requests.clear()
    outcome = pod.prepare()
    assert isinstance(outcome, Prepared), outcome
    for name in ("digits", "linear"):
        file = pod.models / name / "1" / "model.pt"
        assert file.read_text() == f"the plaintext of {name}"
        assert pod.plaintext in file.resolve().parents
    assert vault.requests == [LOGIN, DECRYPT, DECRYPT, REVOKE]
    assert vault.tokens == {}


def test_the_token_is_revoked_after_a_denial_as_well(pod: Pod, vault: VaultServer) -> None:
    vault.roles["digits"] = "others"
    assert pod.failure().reason == Reason.VAULT_DENIED
    assert (vault.requests[-1], vault.tokens) == (REVOKE, {})


@pytest.mark.parametrize("status", [403, 503])
def test_a_token_that_cannot_be_revoked_does_not_fail_the_preparation(
    pod: Pod, vault: VaultServer, status: int
) -> None:
    """A role may lack the policy that allows it; the token expires then."""
    vault.answer = lambda path: failed(status, "permission denied") if path == REVOKE else None
    vault.requests.clear()
    assert isinstance(pod.prepare(), Prepared)
    assert vault.requests.count(REVOKE) == 1
    assert list(vault.tokens) == vault.issued[-1:]


def test_the_vault_is_not_contacted_without_an_encrypted_model(pod: Pod, vault: VaultServer) -> None:
    pod.add("plain", v1="plain")
    pod.ask("plain")
    vault.requests.clear()
    assert isinstance(pod.prepare(), Prepared)
    assert vault.requests == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"role": "other"},
            'denies the login with the role "other" at auth/kubernetes for the key "models"; it answered 400 ',
        ),
        (
            {"jwt": "not.the.token"},
            'denies the login with the role "digits" at auth/kubernetes for the key "models"; it answered 403 ',
        ),
        ({"auth_path": "k8s"}, 'at auth/k8s for the key "models"; it answered 403 Forbidden: permission denied'),
        ({"transit_path": "kms"}, 'denies the use of the key "models" at kms with the role "digits"; it answered 403'),
    ],
)
def test_a_denial_names_the_vault_the_role_and_the_key(
    pod: Pod, vault: VaultServer, fields: dict[str, str], words: str
) -> None:
    ask(pod, vault, **fields)
    refused = pod.failure()
    assert refused.reason == Reason.VAULT_DENIED
    assert refused.message.startswith(vault.address)
    assert words in refused.message
    assert list(pod.plaintext.iterdir()) == []


def test_a_role_that_may_not_use_the_key_or_a_key_that_was_deleted_leaves_nothing(pod: Pod, vault: VaultServer) -> None:
    vault.roles["digits"] = "others"
    refused = pod.failure()
    assert (refused.reason, list(pod.plaintext.iterdir())) == (Reason.VAULT_DENIED, [])
    assert 'denies the use of the key "models" at transit with the role "digits"; it answered 403' in refused.message
    vault.roles["digits"] = "models"
    del vault.keys["models"]
    refused = pod.failure()
    assert (refused.reason, list(pod.plaintext.iterdir())) == (Reason.VAULT_DENIED, [])
    assert "encryption key not found" in refused.message


def test_a_changed_wrapped_key_names_the_model_and_leaves_nothing(pod: Pod) -> None:
    file = pod.source / "linear" / WRAPPED_FILE
    file.write_text(file.read_text().replace("vault:v1:", "vault:v1:AAAA"))
    refused = pod.failure()
    assert (refused.reason, refused.model) == (Reason.DECRYPTION_FAILED, "linear")
    assert "encryption.key.json was changed" in refused.message
    assert list(pod.plaintext.iterdir()) == []


def test_an_address_that_cannot_exist_is_named_in_the_spec(pod: Pod, vault: VaultServer) -> None:
    vault.address = "https://vault..example.com:8200"
    ask(pod, vault)
    refused = pod.failure()
    assert refused.reason == Reason.VAULT_DENIED
    assert refused.message.startswith("spec.decryption.vault.address must have a valid host name")


def test_a_token_that_cannot_be_sent_back_is_not_in_the_message(pod: Pod, vault: VaultServer) -> None:
    vault.answer = lambda path: (200, {"auth": {"client_token": "s.first\nsecond"}}) if path == LOGIN else None
    refused = pod.failure()
    assert refused.reason == Reason.VAULT_DENIED
    assert "it answered with something other than a response of the vault API" in refused.message
    assert "first" not in pod.message()


def test_a_short_outage_is_bridged(pod: Pod, vault: VaultServer) -> None:
    """A sealed vault, a busy one, and one that redirects to another node are temporary."""
    answers = {
        LOGIN: [failed(503, "Vault is sealed"), failed(429, "too many requests")],
        DECRYPT: [failed(307)],
    }
    vault.answer = lambda path: answers[path].pop() if answers.get(path) else None
    assert isinstance(pod.prepare(), Prepared)
    assert not any(answers.values())


def test_a_long_outage_is_reported_and_may_be_retried(
    pod: Pod, vault: VaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_budget, "WITHOUT_PROGRESS_SECONDS", 0.5)
    vault.answer = lambda _: failed(503, "Vault is sealed")
    refused = pod.failure()
    assert refused.reason == Reason.VAULT_UNREACHABLE
    assert f"{vault.address} answered 503 Service Unavailable: Vault is sealed" in refused.message
    assert "no request succeeded for 0 seconds" in refused.message


def test_the_authority_of_the_config_map_is_the_only_one(tmp_path: Path) -> None:
    own, other = Authority("own"), Authority("other")
    with vault_server(own.issue(tmp_path, ["127.0.0.1"])) as vault:
        pod = a_pod(tmp_path / "pod", vault, own.pem.encode())
        vault.requests.clear()
        refused = pod.failure()
        assert refused.reason == Reason.VAULT_UNTRUSTED
        assert "set spec.decryption.vault.caConfigMapRef" in refused.message
        ask(pod, vault, ca_config_map="company-ca", ca_key="ca.crt")
        refused = pod.failure()
        assert refused.reason == Reason.DEPENDENCY_MISSING
        assert 'ConfigMap "company-ca", key "ca.crt" does not exist' in refused.message
        for text, words in ((other.pem, "is not trusted"), ("text", "has no certificate in PEM form")):
            (pod.vault / "ca.crt").write_text(text)
            refused = pod.failure()
            assert refused.reason == Reason.VAULT_UNTRUSTED
            assert words in refused.message
        assert vault.requests == []
        (pod.vault / "ca.crt").write_text(own.pem)
        assert isinstance(pod.prepare(), Prepared)


@pytest.mark.parametrize("denied", [False, True])
def test_no_token_and_no_key_is_printed_or_left_on_the_disk(
    pod: Pod, vault: VaultServer, tmp_path: Path, denied: bool
) -> None:
    """The search finds a secret in the input, where it belongs, and nowhere else."""
    if denied:
        vault.answer = lambda path: failed(403, f"{JWT} {vault.issued}") if "decrypt" in path else None
    command = [sys.executable, "-m", "triton_operator.prepare", *pod.arguments()]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode == 0) is not denied, done.stderr
    opened = [] if denied else [content_of(pod.source / name, vault) for name in ("digits", "linear")]
    secrets = [JWT.encode(), *(token.encode() for token in vault.issued)]
    secrets += [msgspec.json.decode(content)["key"][0]["keyData"]["value"].encode() for content in opened]
    assert len(secrets) == (2 if denied else 4)
    for secret in secrets:
        assert secret not in done.stdout + done.stderr
        found = [file for file in tmp_path.rglob("*") if file.is_file() and secret in file.read_bytes()]
        assert found == ([pod.vault / "token"] if secret == JWT.encode() else [])
