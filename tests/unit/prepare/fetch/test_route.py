"""The URL of the proxy for the clients, and for messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.route import FetchRoute
from triton_operator.triton.prepare_contract.request import FetchProxy


def test_a_password_is_quoted_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("team@example.com\n")
    (tmp_path / "password").write_text("a:b/c%41@d\n")
    route = FetchRoute.of(FetchProxy("http://proxy.example.com:3128/", credentials=str(tmp_path)))
    assert route.url == "http://team%40example.com:a%3Ab%2Fc%2541%40d@proxy.example.com:3128"
    shown = route.describe("https://s3.example.com/models", "https://s3.example.com")
    assert shown == "https://s3.example.com/models (through the proxy http://proxy.example.com:3128)"


def test_a_secret_without_a_password_is_named_by_its_field(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("team")
    with pytest.raises(PrepareError) as error:
        FetchRoute.of(FetchProxy("http://proxy.example.com:3128", credentials=str(tmp_path)))
    assert error.value.reason == Reason.ACCESS_DENIED
    assert str(error.value) == "the Secret of prepare.httpProxy.credentialsSecretRef has no password"
