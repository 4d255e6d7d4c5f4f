"""Serving certificates as a client that verifies them sees them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st

from triton_operator.api.serving_names import serving_names
from triton_operator.certificates.authority import Authority, create_authority, is_signed_by, read_authority
from triton_operator.certificates.read import read_pair
from triton_operator.certificates.serving import SERVING_LIFE, issue

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
AUTHORITY = create_authority(NOW)
OTHER = create_authority(NOW)

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


def verify(certificate_pem: bytes, name: str, at: datetime = NOW, authority: Authority = AUTHORITY) -> bool:
    """What a client does that trusts this authority and connects to `name`."""
    policy = PolicyBuilder().store(Store([authority.certificate])).time(at)
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(x509.load_pem_x509_certificate(certificate_pem), [])
    except VerificationError:
        return False
    return True


@settings(max_examples=25, deadline=None)
@given(name=labels, namespace=labels, other=labels)
def test_a_certificate_is_valid_for_each_of_its_names_and_for_no_other_deployment(
    name: str, namespace: str, other: str
) -> None:
    certificate = issue(AUTHORITY, serving_names(namespace, name), NOW).certificate
    for each in serving_names(namespace, name):
        assert verify(certificate, each.replace("*", "10-0-0-1"))
    strangers = set(serving_names(namespace, f"{name}x")) | set(serving_names(f"{namespace}x", f"{name}x"))
    strangers |= {f"{other}.{name}.{namespace}.svc", f"a.b.{name}-headless.{namespace}.svc", f"{name}.{namespace}.com"}
    for each in strangers:
        assert not verify(certificate, each.replace("*", "10-0-0-1"))


def test_the_names_of_a_deployment_are_those_of_its_services_and_pods() -> None:
    assert serving_names("shop", "digits", ("digits.example.org",)) == (
        "digits",
        "digits.shop",
        "digits.shop.svc",
        "digits.shop.svc.cluster.local",
        "digits-headless",
        "digits-headless.shop",
        "digits-headless.shop.svc",
        "digits-headless.shop.svc.cluster.local",
        "*.digits-headless.shop.svc",
        "*.digits-headless.shop.svc.cluster.local",
        "digits.example.org",
    )


def test_a_certificate_is_refused_by_clients_of_another_authority_and_outside_its_life() -> None:
    certificate = issue(AUTHORITY, ("digits.shop.svc",), NOW).certificate
    end = NOW + SERVING_LIFE
    times = {
        NOW: True,
        NOW - timedelta(minutes=59): True,
        NOW - timedelta(minutes=61): False,
        end: True,
        end + timedelta(seconds=1): False,
    }
    assert {at: verify(certificate, "digits.shop.svc", at) for at in times} == times
    assert not verify(certificate, "digits.shop.svc", authority=OTHER)


def test_a_certificate_expires_with_its_authority_at_the_latest() -> None:
    end = AUTHORITY.expires_at
    certificate = x509.load_pem_x509_certificate(issue(AUTHORITY, ("a",), end - timedelta(days=1)).certificate)
    assert certificate.not_valid_after_utc == end


def test_a_certificate_is_for_servers_only_and_signs_nothing() -> None:
    extensions = x509.load_pem_x509_certificate(issue(AUTHORITY, ("a",), NOW).certificate).extensions
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_each_certificate_has_a_key_and_a_serial_number_of_its_own() -> None:
    pairs = [issue(AUTHORITY, ("a",), NOW) for _ in range(3)]
    certificates = [x509.load_pem_x509_certificate(pair.certificate) for pair in pairs]
    keys = [load_pem_private_key(pair.key, password=None) for pair in pairs]
    assert len({certificate.serial_number for certificate in certificates}) == 3
    for certificate, key in zip(certificates, keys, strict=True):
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.curve.name == "secp256r1"
        assert key.public_key() == certificate.public_key()


def test_the_key_comes_from_the_argument() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pair = issue(AUTHORITY, ("a",), NOW, generate=lambda: key)
    assert x509.load_pem_x509_certificate(pair.certificate).public_key() == key.public_key()


def test_the_longest_dns_names_have_a_certificate() -> None:
    names = serving_names("n" * 63, "d" * 40)
    assert all(verify(issue(AUTHORITY, names, NOW).certificate, each.replace("*", "pod")) for each in names)


def test_facts_are_those_of_the_certificate() -> None:
    pair = issue(AUTHORITY, ("a", "b.c"), NOW)
    facts = read_pair(pair.certificate, pair.key, "digest")
    assert (facts.problem, facts.names, facts.authority) == ("", frozenset({"a", "b.c"}), AUTHORITY.id)
    assert facts.not_after - NOW == SERVING_LIFE
    assert is_signed_by(facts.der, AUTHORITY)
    assert not is_signed_by(facts.der, OTHER)
    assert facts.serial == f"{x509.load_pem_x509_certificate(pair.certificate).serial_number:x}"


def test_a_pair_that_cannot_be_used_says_why() -> None:
    pair, other = issue(AUTHORITY, ("a",), NOW), issue(AUTHORITY, ("a",), NOW)
    assert read_pair(pair.certificate, other.key, "").problem == "its key does not match it"
    for certificate, key in itertools.product((b"", b"text", pair.certificate[:-40]), (pair.key, b"", b"text")):
        assert read_pair(certificate, key, "").problem.startswith("it cannot be read: ")
    assert read_pair(AUTHORITY.certificate_pem, AUTHORITY.key_pem, "").problem.startswith("it cannot be read: ")


@pytest.mark.parametrize("hours", [0, 5])
def test_an_authority_is_read_as_it_was_stored(hours: int) -> None:
    stored = create_authority(NOW + timedelta(hours=hours))
    read = read_authority(stored.certificate_pem, stored.key_pem)
    assert (read.id, read.name, read.active_from) == (stored.id, stored.name, NOW + timedelta(hours=hours))
    assert read.certificate == stored.certificate
