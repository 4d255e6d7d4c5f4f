"""Packages of Debian 12: the mirror that they are downloaded from."""

from __future__ import annotations

import pytest

from hack.images.bookworm import mirrors
from hack.images.failures import ImageError


def test_the_machines_own_mirror_is_used_with_our_suite() -> None:
    """Also if the machine runs another release; its other repositories are ignored."""
    addresses = [
        "http://mirror.example/debian/",
        "http://mirror.example/debian-security/",
        "https://other.example/repo",
    ]
    assert mirrors(addresses) == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-security": "http://mirror.example/debian-security",
    }


def test_a_given_mirror_wins() -> None:
    """A mirror that the user configured."""
    assert mirrors(["http://a.example/debian"], "http://b.example/debian/") == {"bookworm": "http://b.example/debian"}


def test_a_machine_without_debian_gets_an_error_with_the_variable() -> None:
    """Ubuntu's apt has no Debian mirror."""
    with pytest.raises(ImageError, match=r"archive\.example/ubuntu\. Set TRITON_OPERATOR_DEBIAN_MIRROR"):
        mirrors(["http://archive.example/ubuntu"])
