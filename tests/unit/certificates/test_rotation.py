"""The steps of a rotation, and what must happen to a certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from triton_operator.certificates.authority import InvalidAuthorityError, create_authority, read_authority
from triton_operator.certificates.facts import CertificateFacts
from triton_operator.certificates.periods import ANNOUNCED, KEPT
from triton_operator.certificates.rotation import Authorities, Rotation, rotate, sort_authorities
from triton_operator.certificates.serving import issue
from triton_operator.certificates.state import Judgement, Need, judge

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at_rest() -> Authorities:
    """A new installation."""
    return rotate(None, NOW)


def test_the_first_authority_signs_at_once_for_two_thirds_of_ten_years() -> None:
    authorities = at_rest()
    assert authorities.signing(NOW) is authorities.all[0]
    assert authorities.bundle(NOW) == authorities.all[0].certificate_pem.decode()
    end = authorities.next_change(NOW)
    assert timedelta(days=2430) < end - NOW < timedelta(days=2440)
    assert rotate(authorities, end - SECOND) is authorities
    assert len(rotate(authorities, end).all) == 2


def test_a_gradual_rotation_announces_then_signs_then_removes_the_old_authority() -> None:
    old = at_rest()
    announced = rotate(old, NOW, Rotation.GRADUAL)
    following, first = announced.all
    assert first is old.all[0]
    assert announced.next_change(NOW) == following.active_from == NOW + ANNOUNCED

    before, after = NOW + ANNOUNCED - SECOND, NOW + ANNOUNCED
    assert announced.signing(before) is first
    assert announced.signing(after) is following
    assert announced.bundle(before) == (first.certificate_pem + following.certificate_pem).decode()
    assert announced.bundle(after) == (following.certificate_pem + first.certificate_pem).decode()

    end = after + KEPT
    assert announced.next_change(after) == end
    assert rotate(announced, end - SECOND) is announced
    assert rotate(announced, end).all == (following,)


def test_a_second_request_during_the_announcement_changes_nothing() -> None:
    announced = rotate(at_rest(), NOW, Rotation.GRADUAL)
    assert rotate(announced, NOW + SECOND, Rotation.GRADUAL) is announced


def test_a_rotation_soon_after_another_keeps_the_authority_that_signs() -> None:
    announced = rotate(at_rest(), NOW, Rotation.GRADUAL)
    later = NOW + ANNOUNCED + SECOND
    again = rotate(announced, later, Rotation.GRADUAL)
    assert again.all[1] is announced.signing(later)
    assert len(again.all) == 2


def test_an_immediate_rotation_trusts_nothing_but_the_new_authority() -> None:
    old = at_rest()
    new = rotate(old, NOW + SECOND, Rotation.NOW)
    assert len(new.all) == 1
    assert new.all[0].id != old.all[0].id
    assert new.signing(NOW + SECOND) is new.all[0]


def test_an_authority_signs_although_the_clock_was_set_back() -> None:
    authorities = at_rest()
    assert authorities.signing(NOW - timedelta(days=1)) is authorities.all[0]


def test_stored_authorities_are_sorted_by_their_activation() -> None:
    old, new = create_authority(NOW), create_authority(NOW + SECOND)
    assert sort_authorities([old, new]).all == sort_authorities([new, old]).all == (new, old)


def test_what_is_not_an_authority_is_refused() -> None:
    authority, other = create_authority(NOW), create_authority(NOW)
    leaf = issue(authority, ("a",), NOW)
    foreign = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    cases = {
        (b"text", authority.key_pem): "not a certificate and its key",
        (authority.certificate_pem, b""): "not a certificate and its key",
        (authority.certificate_pem, other.key_pem): "the key does not belong to the certificate",
        (authority.certificate_pem, foreign): "the key does not belong to the certificate",
        (leaf.certificate, leaf.key): "the certificate is not a CA certificate",
    }
    for (certificate, key), message in cases.items():
        with pytest.raises(InvalidAuthorityError, match=message):
            read_authority(certificate, key)
    assert read_authority(authority.certificate_pem, authority.key_pem).id == authority.id


def facts(**changes: object) -> CertificateFacts:
    """A certificate of 90 days, signed by the authority "old"."""
    fields = {"digest": "d", "names": frozenset({"a"}), "not_before": NOW, "not_after": NOW + timedelta(days=90)}
    return CertificateFacts(**(fields | changes))  # type: ignore[arg-type]


def need(found: CertificateFacts | None, *, signed_by: str = "old", signing: str = "old", days: float = 0) -> Judgement:
    """The judgement this number of days after the certificate was issued."""
    return judge(found, ["a"], signed_by=signed_by, signing=signing, now=NOW + timedelta(days=days))


def test_a_certificate_is_renewed_at_two_thirds_of_its_life() -> None:
    renew_at = NOW + timedelta(days=60)
    assert need(facts()) == Judgement(Need.NOTHING, until=renew_at)
    assert need(facts(), days=59.99) == Judgement(Need.NOTHING, until=renew_at)
    assert need(facts(), days=60) == Judgement(Need.RENEW, "it expires at 2027-02-27T12:00:00Z")
    assert need(facts(), days=100).need is Need.RENEW


def test_a_certificate_is_issued_again_if_it_is_not_as_it_should_be() -> None:
    assert need(None) == Judgement(Need.ISSUE, "it does not exist")
    assert need(facts(problem="its key does not match it")).need is Need.RESTORE
    assert need(facts(), signed_by="").need is Need.RESTORE
    assert need(facts(), signing="new").need is Need.REISSUE
    assert need(facts(names=frozenset({"a", "b"}))).need is Need.REISSUE
    assert need(facts()).need is Need.NOTHING
