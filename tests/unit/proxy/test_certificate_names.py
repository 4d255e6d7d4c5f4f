"""The list of names in a certificate, run in Lua 5.3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from lupa.lua53 import LuaRuntime

from tests.proxy.certificates import Authority
from triton_operator.proxy import scripts
from triton_operator.proxy.token_verifier import encoded

LUA = LuaRuntime(encoding=None)
LIST_NAMES: Any = LUA.execute(Path(scripts.__file__).with_name("certificate_names.lua").read_bytes())
AUTHORITY = Authority()


def listed(certificate: bytes) -> str:
    return bytes(LIST_NAMES(certificate.hex().upper().encode())).decode()


def der(common_name: str, *names: x509.GeneralName) -> bytes:
    return x509.load_pem_x509_certificate(AUTHORITY.issue(common_name, names).certificate).public_bytes(Encoding.DER)


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_dns_names_and_uris_are_listed(count: int) -> None:
    names = [f"name-{number}.example" for number in range(count)]
    uris = [f"spiffe://example/{number}" for number in range(count)]
    certificate = der(
        "x", *map(x509.DNSName, names), *map(x509.UniformResourceIdentifier, uris), *[x509.RFC822Name("a@b.example")]
    )
    assert listed(certificate) == "".join([":", *(f"{encoded(name)}:" for name in names + uris)])


def test_a_certificate_without_names_has_none() -> None:
    assert listed(der("a.example")) == ":"


@given(st.binary(max_size=80))
def test_bytes_that_are_no_certificate_have_no_names(content: bytes) -> None:
    assert listed(content) == ":"


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_damaged_certificate_is_read_without_an_error(position: int, value: int) -> None:
    content = bytearray(der("x", x509.DNSName("a.example")))
    content[position % len(content)] = value
    assert listed(bytes(content)).startswith(":")
