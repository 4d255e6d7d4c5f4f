"""URLs in messages and reports have no secrets, and any text can be shown."""

from __future__ import annotations

import pytest

from triton_operator.api.url import shown_url, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:secret@example.com:8443/models.tar?token=secret#part", "https://example.com:8443/models.tar"),
        ("https://[2001:db8::1]/models.tar", "https://[2001:db8::1]/models.tar"),
        ("https://ada:secret@[:::]/models.tar", "an invalid URL"),
        ("https://[2001:db8::1/models.tar", "an invalid URL"),
    ],
)
def test_a_url_is_shown_without_credentials_and_query(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:secret@[2001:db8::1/models?token=secret", "https://[2001:db8::1/models"),
        ("ada:secret@vault:8200", "vault:8200"),
        ("vault:8200", "vault:8200"),
    ],
)
def test_what_is_no_url_is_shown_without_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
