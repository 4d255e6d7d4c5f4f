"""Serving certificates that clients would refuse are reported with the reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.proxy.certificates import Authority
from triton_operator.proxy.certificate import check_certificate, find_key_problem, find_problem
from triton_operator.proxy.errors import ProxyError

AUTHORITY = Authority()
PAIR = AUTHORITY.issue()
NAME = "digits.shop.svc"


def encrypted(key: bytes) -> bytes:
    """The same key, for which a password is needed."""
    private = serialization.load_pem_private_key(key, password=None)
    protection = serialization.BestAvailableEncryption(b"password")
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def problem(*own: str, names: tuple[str, ...] = (NAME,), life: timedelta = timedelta(hours=1)) -> str:
    pair = AUTHORITY.issue("x", [x509.DNSName(name) for name in own], life=life)
    return find_problem(pair.certificate + pair.key, names, datetime.now(UTC))


@pytest.mark.parametrize("own", [NAME, "DIGITS.shop.svc", "*.shop.svc"])
def test_a_certificate_for_the_service_is_accepted(own: str) -> None:
    assert problem("other.example", own) == ""


@pytest.mark.parametrize("own", ["other.shop.svc", "*.svc", "*.digits.shop.svc", "digits.shop.svc.example", "shop.svc"])
def test_a_certificate_for_another_name_is_reported(own: str) -> None:
    assert problem(own) == f"is for {own}; expected {NAME}"


def test_one_of_several_names_is_enough() -> None:
    assert problem("models.example", names=(NAME, "models.example")) == ""
    assert problem("models.example", names=()) == ""
    assert problem(names=(NAME, "b")) == f"is for no name; expected {NAME} or b"


def test_an_expired_certificate_is_reported_with_the_time() -> None:
    assert re.fullmatch(r"expired at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", problem(NAME, life=timedelta(hours=-1)))


def test_a_file_without_a_certificate_is_reported() -> None:
    assert find_problem(b"nothing", (), datetime.now(UTC)).startswith("cannot be read: ")


def test_of_many_names_the_first_are_shown() -> None:
    assert problem("a", names=("b", "c", "d", "e", "f")) == "is for a; expected b or c or d or 2 others"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (PAIR.key, ""),
        (AUTHORITY.issue().key, "does not match its key"),
        (b"", "has a key that cannot be read"),
        (b"nonsense", "has a key that cannot be read"),
        (encrypted(PAIR.key), "has a key that cannot be read"),
    ],
    ids=["its own", "another", "none", "nonsense", "encrypted"],
)
def test_a_key_that_does_not_belong_to_the_certificate_is_reported(key: bytes, found: str, tmp_path: Path) -> None:
    pem = tmp_path / "serving.pem"
    pem.write_bytes(PAIR.certificate + key)
    assert find_key_problem(pem) == found


def test_the_check_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    pair = AUTHORITY.issue("x", [x509.DNSName("other")])
    pem = tmp_path / "serving.pem"
    pem.write_bytes(pair.certificate + pair.key)
    check_certificate(pem, ("other",))
    with pytest.raises(ProxyError, match=r"^the serving certificate is for other; expected digits\.shop\.svc$"):
        check_certificate(pem, (NAME,))
