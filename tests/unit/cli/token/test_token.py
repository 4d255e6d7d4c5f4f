"""`tritonctl token`: tokens that their public key verifies, and files that only the user can read."""

from __future__ import annotations

import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.tritonctl import Outcome, tritonctl
from triton_operator.resources.public_keys import key_of_pem

ISSUER = "triton-operator.io/tokens/models/digits/shop"
AUDIENCE = "modeldeployments.triton-operator.io/models/digits"


def create(capsys: pytest.CaptureFixture[str], folder: Path, *options: object) -> Outcome:
    """Issue a token for the caller `shop`."""
    return tritonctl(
        capsys, "token", "create", "digits", "-n", NAMESPACE, "--client", "shop", "--key-folder", folder, *options
    )


def parts(token: str) -> tuple[Any, Any, bytes]:
    """The header, the claims and the signature."""
    header, claims, signature = (base64.urlsafe_b64decode(each + "==") for each in token.split("."))
    return json.loads(header), json.loads(claims), signature


def verify(token: str, pem: str) -> None:
    """Raise InvalidSignature unless the key signed the token."""
    signed, _, _ = token.rpartition(".")
    signature = parts(token)[2]
    numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, EllipticCurvePublicKey)
    key.verify(encode_dss_signature(*numbers), signed.encode(), ECDSA(SHA256()))


def snippet(outcome: Outcome) -> Any:
    """The YAML for the spec on standard error."""
    return yaml.safe_load(outcome.err[outcome.err.index("- name:") :])


def test_a_token_is_signed_for_one_caller_of_one_deployment(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The printed public key verifies it, and has the ID in the header; the key of another caller does not."""
    outcome = create(capsys, tmp_path, "--days", 2)
    assert outcome.code == 0, outcome.err
    token = outcome.out.strip()
    (caller,) = snippet(outcome)
    (pem,) = caller["token"]["publicKeys"]
    verify(token, pem)
    header, claims, signature = parts(token)
    assert header == {"alg": "ES256", "typ": "JWT", "kid": key_of_pem(pem).kid}
    assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, AUDIENCE, "shop")
    assert claims["exp"] - claims["iat"] == 2 * 86_400
    assert abs(claims["iat"] - time.time()) < 60
    assert len(signature) == 64
    other = tritonctl(capsys, "token", "create", "digits", "-n", NAMESPACE, "--client", "b", "--key-folder", tmp_path)
    with pytest.raises(InvalidSignature):
        verify(token, snippet(other)[0]["token"]["publicKeys"][0])


def test_the_key_is_kept_and_only_the_user_can_read_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Tokens of one caller have one key; neither they nor the key are printed elsewhere."""
    first, second = create(capsys, tmp_path), create(capsys, tmp_path, "--output-file", tmp_path / "token")
    assert snippet(first) == snippet(second)
    assert second.out == ""
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in files] == ["shop.json", "shop.key", "token"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert "PRIVATE" not in first.out + first.err
    assert (tmp_path / "token").read_text().strip() not in files[0].read_text()


def test_a_key_that_others_can_read_is_not_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    create(capsys, tmp_path)
    key = tmp_path / NAMESPACE / "digits" / "shop.key"
    key.chmod(0o644)
    outcome = create(capsys, tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    assert "other users can read this private key" in outcome.err


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str) -> None:
    create(capsys, tmp_path)
    (tmp_path / NAMESPACE / "digits" / "shop.key").write_text(content)
    outcome = create(capsys, tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert "shop.key: it is not an unencrypted private key" in outcome.err


def test_issued_tokens_are_listed_by_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ids = [parts(create(capsys, tmp_path).out.strip())[1]["jti"] for _ in range(2)]
    assert len(set(ids)) == 2
    listed = tritonctl(capsys, "token", "list", "digits", "-n", NAMESPACE, "--key-folder", tmp_path, "-o", "json")
    assert [(row["client"], row["id"]) for row in json.loads(listed.out)] == [("shop", each) for each in ids]
    shown = tritonctl(capsys, "token", "list", "digits", "-n", NAMESPACE, "--key-folder", tmp_path)
    assert all(each in shown.out for each in ids)


def test_revoking_prints_the_whole_caller_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], cluster: FakeCluster, tmp_path: Path
) -> None:
    """IDs that are revoked already stay."""
    caller = {"name": "shop", "models": ["digits"], "token": {"publicKeys": ["PEM"], "revoked": ["a"]}}
    cluster.answer({"metadata": {"name": "digits"}, "spec": {"privacy": {"clients": [caller]}}})
    arguments = ("token", "revoke", "digits", "--client", "shop", "--key-folder", tmp_path)
    outcome = tritonctl(capsys, *arguments, "--id", "b")
    assert outcome.code == 0, outcome.err
    token = {"publicKeys": ["PEM"], "revoked": ["a", "b"]}
    assert yaml.safe_load(outcome.out) == [{**caller, "token": token}]
    assert [request.split()[0] for request in cluster.requests] == ["GET"]
    assert tritonctl(capsys, *arguments).code == 2
    outcome = tritonctl(capsys, "token", "revoke", "digits", "--client", "other", "--id", "b")
    assert (outcome.code, outcome.out) == (2, "")
    assert "has no caller other with tokens" in outcome.err


@pytest.mark.parametrize("client", ["", "../shop", "Shop", "a/b", "-a", "a" * 64])
def test_a_caller_has_a_name_that_the_spec_accepts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, client: str
) -> None:
    """It is also the name of a file."""
    outcome = tritonctl(
        capsys, "token", "create", "digits", "-n", NAMESPACE, f"--client={client}", "--key-folder", tmp_path
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert list(tmp_path.iterdir()) == []
